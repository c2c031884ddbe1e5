//! Where a row came from: the key by which the same row is recognised, however often it is sent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies a file among all that were ever read, also from one of the same name.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The file.
    #[serde(rename = "file_id")]
    pub file: FileId,
    /// The row in it.
    pub row: Row,
}

/// As people write it: `FILE_ID:ROW`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.row)
    }
}

/// Text that is no `FILE_ID:ROW`.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no origin, which is written FILE_ID:ROW")]
pub struct NoOrigin(String);

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let parts = text.trim().split_once(':');
        let numbers =
            parts.and_then(|(file, row)| Some((file.parse::<i64>().ok()?, row.parse::<Row>().ok()?)));
        match numbers {
            Some((file, row)) if file > 0 && row > 0 => Ok(Self { file: file.into(), row }),
            _ => Err(NoOrigin(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_it_is_written() {
        let origin = Origin { file: FileId::from(42), row: 7 };
        assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
        for wrong in ["", "42", "42:", "42:0", "-1:7", "a:b", "42:7:9"] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
