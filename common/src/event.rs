//! What an event is: the columns that a file can fill, the types it can have, and why a row can be refused.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The columns that a file can fill, in the table's order. `price_category` and `attributes` are derived.
pub const COLUMNS: [&str; 17] = [
    "event_id",
    "event_type",
    "event_timestamp",
    "customer_id",
    "customer_name",
    "customer_email",
    "customer_address",
    "session_id",
    "user_agent",
    "ip_address",
    "product_id",
    "product_name",
    "category",
    "brand",
    "sku",
    "price",
    "device_type",
];

/// The built-in event types.
pub const TYPES: [&str; 6] =
    ["view", "click", "add_to_cart", "add_to_wishlist", "remove_from_cart", "purchase"];

/// The first column of an edited file: which rejected row each of its rows takes the place of, as `FILE_ID:ROW`.
pub const ORIGIN_COLUMN: &str = "millrace_origin";

/// Whether so many of a file's `rows` have the id of another row and `differing` content that their ids are hardly those
/// of events: they are numbers that begin anew in each file, for instance.
pub fn has_doubtful_ids(rows: i64, differing: i64) -> bool {
    differing * 100 >= rows && (differing >= 10 || differing * 2 >= rows) && differing > 0
}

/// Why a row is in `corrupt_records` and not in `events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer fields than the header.
    TooFewFields,
    /// More fields than the header.
    TooManyFields,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A NUL character, which PostgreSQL cannot store in text.
    NulCharacter,
    /// A required column is empty.
    MissingValue,
    /// No known event type.
    UnknownEventType,
    /// No time that can be read, or one outside 1970 to 2100.
    BadTimestamp,
    /// No decimal number, or one with more digits than the column has.
    BadPrice,
    /// A price below zero.
    NegativePrice,
    /// No IP address.
    BadIpAddress,
    /// A value of an indexed column that is longer than an index entry can be.
    ValueTooLong,
    /// A record longer than the limit, mostly because of a quote that is never closed.
    RecordTooLong,
    /// A row that does not fit a message of the broker.
    MessageTooLarge,
    /// A last line that was taken without its newline and grew afterwards.
    LineContinued,
    /// An edited row without the origin of the rejected row that it replaces.
    BadOrigin,
    /// A message that cannot be decoded.
    UndecodableMessage,
    /// A message without file and row.
    NoOrigin,
    /// PostgreSQL refused the values.
    RefusedByDatabase,
}

/// As it is stored in `corrupt_records.reason`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
