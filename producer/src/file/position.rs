use serde::{Deserialize, Serialize};

/// A position between two records, and the counts up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Bytes, uncompressed.
    pub offset: u64,
    /// Records.
    pub row: i64,
    /// Records that became events.
    pub published: i64,
    /// Records that were rejected.
    pub rejected: i64,
    /// Hash of the last bytes before `offset`, up to 4 KiB of them.
    pub tail_hash: u64,
    /// Whether the last record was taken without its line end.
    pub unterminated: bool,
}
