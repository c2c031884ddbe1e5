//! The time of day, passed in rather than asked for, so that a run can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

/// The time: the machine's, or one that a test has fixed.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always this time.
    Fixed(DateTime<Utc>),
}

impl Clock {
    /// The time now.
    pub fn now(self) -> DateTime<Utc> {
        match self {
            Self::System => system_now().into(),
            Self::Fixed(time) => time,
        }
    }

    /// Microseconds since 1970, the unit in which times travel in messages.
    pub fn micros(self) -> i64 {
        match self {
            Self::System => {
                let since = system_now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
            }
            Self::Fixed(time) => time.timestamp_micros(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
fn system_now() -> SystemTime {
    SystemTime::now()
}
