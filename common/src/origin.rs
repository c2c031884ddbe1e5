//! Where a row came from: the key by which the same row is known again, however often it is sent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A file, told apart from every other file that was ever read, also from one of the same name.
///
/// A positive 63-bit number, so that it fits PostgreSQL's `bigint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(i64);

impl FileId {
    /// The id whose bits are the lower 63 of `hash`; never 0.
    pub fn from_hash(hash: u64) -> Self {
        let bits = (hash & (u64::MAX >> 1)).max(1);
        Self(i64::try_from(bits).unwrap_or(i64::MAX))
    }

    /// As it stands in the database and on the wire.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl From<i64> for FileId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record's number in its file, from 1; header, blank and comment lines do not count.
pub type Row = i64;

/// One row of one file: no two rows share an origin, and a row keeps its own for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file.
    pub file: FileId,
    /// The row in it.
    pub row: Row,
}
