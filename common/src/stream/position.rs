use chrono::{DateTime, SubsecRound as _, Utc};

/// The position of a message: when its stream was created, in microseconds as PostgreSQL stores it, and the sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPosition {
    pub stream_created: DateTime<Utc>,
    pub sequence: u64,
}

impl StreamPosition {
    pub fn new(stream_created: DateTime<Utc>, sequence: u64) -> Self {
        Self { stream_created: stream_created.trunc_subsecs(6), sequence }
    }
}
