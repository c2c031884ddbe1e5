//! How far each file has come.
//!
//! A position enters when every row before it is acknowledged by the stream; it leaves when the tailer starts again
//! or meets a file that it has met before.

mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use common::FileId;
use serde::{Deserialize, Serialize};

use crate::map::Mapping;
use crate::tail::identity::Identity;
pub(crate) use store::{Error, Store};

/// The version of the format on disk.
const VERSION: u32 = 1;

/// All that is known of one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    pub version: u32,
    pub file_id: FileId,
    pub identity: Identity,
    pub path: PathBuf,
    pub state: State,
    /// Behind the header, where reading begins, and begins again when the stream has lost data.
    pub start: Reached,
    pub reached: Reached,
    /// Pinned while the file is read.
    pub mapping: Option<Arc<Mapping>>,
    /// Where the stream was when the position was acknowledged.
    pub stream: Option<StreamPosition>,
}

/// What has become of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Rows may still be missing from the tables.
    Reading,
    /// On its way to the archive.
    Archiving { target: PathBuf },
    /// In the archive.
    Archived { target: PathBuf },
    /// Closed, and left in its place.
    Kept,
    /// Closed, and deleted.
    Deleted,
    /// Rewritten or removed before it was closed.
    Truncated,
}

impl State {
    /// One word for people.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Archiving { .. } => "archiving",
            Self::Archived { .. } => "archived",
            Self::Kept => "kept",
            Self::Deleted => "deleted",
            Self::Truncated => "truncated",
        }
    }
}

/// A position between two records, and the counts up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reached {
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

/// A place in one life of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamPosition {
    /// When the stream was made.
    pub created: DateTime<Utc>,
    /// The largest acknowledged sequence.
    pub last_sequence: u64,
    /// The hash of its message, where it is one of ours.
    pub last_hash: Option<u64>,
}

impl Checkpoint {
    pub(crate) fn new(file_id: FileId, identity: Identity, path: &Path) -> Self {
        Self {
            version: VERSION,
            file_id,
            identity,
            path: path.to_owned(),
            state: State::Reading,
            start: Reached::default(),
            reached: Reached::default(),
            mapping: None,
            stream: None,
        }
    }
}
