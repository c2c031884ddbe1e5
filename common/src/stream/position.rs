use chrono::{DateTime, Utc};

/// The place of a message: the incarnation of the stream, and the sequence in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPosition {
    pub stream_created: DateTime<Utc>,
    pub sequence: u64,
}
