use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::config::source::EventTypes;

/// What a valid event is; a `[[source]]` may override this for its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Event types besides the built-in ones, or `"any"`.
    pub types: EventTypes,
    /// Columns that a row must fill besides `event_type` and `event_timestamp`.
    pub required: Vec<String>,
    /// The zone of times that name none.
    pub time_zone: Tz,
    /// What becomes of columns that map to nothing.
    pub unknown_columns: UnknownColumns,
    /// Prices below this are Low.
    pub price_low_below: f64,
    /// Prices below this, and not Low, are Medium; the others are High.
    pub price_medium_below: f64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            types: EventTypes::default(),
            required: Vec::new(),
            time_zone: Tz::UTC,
            unknown_columns: UnknownColumns::Keep,
            price_low_below: 50.0,
            price_medium_below: 200.0,
        }
    }
}

/// What becomes of a file's columns that map to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownColumns {
    /// They go to `attributes`.
    Keep,
    /// They are left out.
    Ignore,
    /// The file is parked until the mapping is corrected.
    Park,
}
