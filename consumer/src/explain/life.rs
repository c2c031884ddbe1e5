//! What the database tells of a row: in which tables it is, what brought it, and which file it stands in.

use chrono::{DateTime, Utc};
use common::origin::Row;
use common::wire::Bytes64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Columns;

/// What is in the tables of one row, each of them empty where it is not there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Life {
    /// In `events`; more than one where somebody was at the table.
    pub events: Vec<Written>,
    /// In `duplicates`.
    pub duplicates: Vec<Written>,
    /// In `corrupt_records`.
    pub corrupt_records: Vec<Corrupt>,
}

/// A row in `events` or `duplicates`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written {
    /// Its key; that of the event which it repeats, for a duplicate.
    pub event_id: Uuid,
    /// The file it stands in; none for a row that came past Millrace.
    pub file_id: Option<i64>,
    /// Its number there.
    pub source_row: Option<Row>,
    /// The time of the transaction that committed it.
    pub created_at: DateTime<Utc>,
    /// Whether it says something else than its event; of a duplicate.
    pub differs: Option<bool>,
    /// What it says.
    pub columns: Columns,
    /// What brought it; none for a row that came past Millrace.
    pub batch: Option<Batch>,
    /// Other rows of the same event id, in the order in which they came.
    pub same_id: Vec<Other>,
}

/// Another row of an event id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// `events` or `duplicates`.
    pub fate: String,
    /// The file it stands in.
    pub file_id: Option<i64>,
    /// Its number there.
    pub source_row: Option<Row>,
    /// The file's path.
    pub file: Option<String>,
    /// Whether it says something else than the event; of a duplicate.
    pub differs: Option<bool>,
    /// The time of the transaction that committed it.
    pub created_at: DateTime<Utc>,
}

/// A row in `corrupt_records`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Corrupt {
    /// The file it stands in.
    pub file_id: i64,
    /// Its number there.
    pub source_row: Row,
    /// Offset of its first byte, uncompressed.
    pub byte_start: Option<i64>,
    /// Offset behind its last byte.
    pub byte_end: Option<i64>,
    /// Who refused it: `producer`, `decode` or `database`.
    pub stage: String,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// The event's column at fault.
    pub column_name: Option<String>,
    /// The value at fault.
    pub value: Option<String>,
    /// Its bytes; of the stages `decode` and `database`, its message.
    pub raw: Bytes64,
    /// Whether only the beginning was kept.
    pub truncated: bool,
    /// The life of the stream that brought it.
    pub stream_created: DateTime<Utc>,
    /// Its place there.
    pub stream_sequence: i64,
    /// The time of the transaction that committed it.
    pub created_at: DateTime<Utc>,
    /// When it was settled.
    pub closed_at: Option<DateTime<Utc>>,
    /// The file of the row that took its place.
    pub replaced_by_file_id: Option<i64>,
    /// That row's number there.
    pub replaced_by_row: Option<Row>,
    /// That file's path.
    pub replaced_by_file: Option<String>,
    /// What brought it.
    pub batch: Option<Batch>,
}

/// The transaction that brought a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its key.
    pub batch_id: i64,
    /// Who wrote it.
    pub replica: String,
    /// Whether it is part of a replay.
    pub replay: bool,
    /// The life of the stream that it was taken from.
    pub stream_created: DateTime<Utc>,
    /// The first of its messages.
    pub first_sequence: i64,
    /// The last of them.
    pub last_sequence: i64,
    /// How many rows it has.
    pub rows: i64,
    /// How many of them became events.
    pub inserted: i64,
    /// How many became duplicates.
    pub duplicates: i64,
    /// How many were in a table before.
    pub redelivered: i64,
    /// How many became corrupt records.
    pub rejected: i64,
    /// When the oldest of them was written to its file.
    pub oldest_written: Option<DateTime<Utc>>,
    /// When the first of its messages was taken off the stream.
    pub fetched_at: DateTime<Utc>,
    /// When a writer took it up.
    pub write_began_at: DateTime<Utc>,
    /// When it asked to commit.
    pub committed_at: DateTime<Utc>,
}

/// A file as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its id.
    pub file_id: i64,
    /// Its path.
    pub file: String,
    /// The `[[source]]` that mapped it.
    pub source: String,
    /// `open`, `finished` or `truncated`.
    pub state: String,
    /// Its rows, as far as is known; final unless it is open.
    pub rows_read: i64,
    /// When the database first heard of it.
    pub created_at: DateTime<Utc>,
    /// When its last account came.
    pub updated_at: DateTime<Utc>,
    /// When every row of it was in a table.
    pub closed_at: Option<DateTime<Utc>>,
}
