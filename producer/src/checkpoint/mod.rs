//! How far each file has been read and acknowledged.
//!
//! A position enters when the stream has acknowledged every row before it. It leaves when a tailer starts, or finds a file
//! that was read before.

mod damage;
mod database;
mod disk;
mod entries;
mod forget;
mod reader;
mod revisions;
mod rows;
mod sent_position;
mod store;
mod summary;
mod takeover;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use common::FileId;
use serde::{Deserialize, Serialize};

use crate::file::Position;
use crate::file::identity::{FileStat, Identity};
use crate::file_reader::RowFormat;
use crate::map::{Limits, MappedFile, Mapping};
pub(crate) use database::KNOWN_INCARNATIONS;
pub use disk::Error;
pub(crate) use forget::forget;
pub use reader::Reader;
pub(crate) use sent_position::SentPosition;
pub(crate) use store::{Rewound, Store, set_aside};
pub use summary::{CheckpointSummary, checkpoint_summaries};

/// Of a checkpoint on disk.
const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub(crate) version: u32,
    pub(crate) file_id: FileId,
    pub(crate) identity: Identity,
    pub path: PathBuf,
    /// The absolute path, since a later process may run in another directory. Older checkpoints lack it.
    #[serde(default)]
    pub(crate) absolute: Option<PathBuf>,
    pub(crate) state: State,
    /// Of the latest totals that were written to a checkpoint. Of a closed file, these are the final ones. Older checkpoints
    /// lack it.
    #[serde(default)]
    pub(crate) revision: i64,
    /// Whether the stream may lack the totals of a truncated file. They are sent until they are acknowledged.
    #[serde(default, rename = "owes_account")]
    pub(crate) totals_pending: bool,
    /// Behind the header. Reading starts here, also after the stream has lost data.
    pub start: Position,
    pub(crate) reached: Position,
    /// The position that was reached when the stream lost data, and reading was restarted.
    #[serde(default)]
    pub(crate) lost: Option<Position>,
    /// As in [`RowFormat`].
    #[serde(default, rename = "cuts", skip_serializing_if = "Vec::is_empty")]
    pub(crate) forced_ends: Vec<u64>,
    /// Pinned: the file is always mapped by it, also after it was closed. Older checkpoints of closed files lack it.
    pub mapping: Option<Arc<Mapping>>,
    /// Pinned as the mapping is. Older checkpoints lack them: they get the current limits when their file is read on.
    #[serde(default)]
    pub(crate) limits: Option<Limits>,
    /// The last acknowledged message when the position was reached.
    pub(crate) stream: Option<StreamPosition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Not closed: rows may still be missing in the tables.
    Reading,
    /// Being moved or copied to the archive, unless it has changed since its totals were `announced`, which older
    /// checkpoints lack.
    Archiving {
        target: PathBuf,
        #[serde(default)]
        announced: Option<FileStat>,
    },
    /// Copied to the archive, which is on another file system, and perhaps still in its place.
    Copied {
        target: PathBuf,
        announced: FileStat,
    },
    Archived {
        target: PathBuf,
    },
    Kept,
    /// Closed, and being deleted.
    Deleting,
    Deleted,
    /// Rewritten or removed before it was closed. Its rows are kept, and it cannot be read again.
    Truncated,
}

impl State {
    /// Whether every row of the file is in a table.
    pub(crate) fn is_closed(&self) -> bool {
        !matches!(self, Self::Reading | Self::Truncated)
    }

    /// Whether the file may still be in its place, and be read on.
    fn is_in_place(&self) -> bool {
        !matches!(self, Self::Archived { .. } | Self::Deleted | Self::Truncated)
    }

    /// For output.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Archiving { .. } | Self::Copied { .. } => "archiving",
            Self::Archived { .. } => "archived",
            Self::Kept => "kept",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
            Self::Truncated => "truncated",
        }
    }
}

/// What the stream has of a file whose checkpoint was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub file: FileId,
    /// `None` if the file is closed, or may be.
    pub path: Option<PathBuf>,
    /// The offset up to which it was read.
    pub bytes: u64,
}

/// A position in one incarnation of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamPosition {
    pub created: DateTime<Utc>,
    /// The largest acknowledged sequence.
    pub last_sequence: u64,
    /// The hash of its message, if this producer has sent it.
    pub last_hash: Option<u64>,
}

impl Checkpoint {
    pub(crate) fn new(file_id: FileId, identity: Identity, path: &Path) -> Self {
        Self {
            version: VERSION,
            file_id,
            identity,
            path: path.to_owned(),
            absolute: std::path::absolute(path).ok(),
            state: State::Reading,
            revision: 0,
            totals_pending: false,
            start: Position::default(),
            reached: Position::default(),
            lost: None,
            forced_ends: Vec::new(),
            mapping: None,
            limits: None,
            stream: None,
        }
    }

    /// Whether it may still change: its file is read or put away, or its totals are pending.
    fn is_open(&self) -> bool {
        let is_settled =
            matches!(self.state, State::Archived { .. } | State::Kept | State::Deleted | State::Truncated);
        !is_settled || self.totals_pending
    }

    /// The file was renamed.
    pub(crate) fn move_to(&mut self, path: &Path) {
        path.clone_into(&mut self.path);
        self.absolute = std::path::absolute(path).ok();
    }

    /// The farthest position that the file has ever reached. Its totals are those up to there.
    pub(crate) fn farthest(&self) -> Position {
        self.lost.filter(|lost| lost.offset > self.reached.offset).unwrap_or(self.reached)
    }

    /// Begins again behind the header.
    pub(crate) fn rewind(&mut self) {
        self.lost = Some(self.farthest());
        self.reached = self.start;
        self.stream = None;
    }

    /// The format by which its file is read again. The limits are those that are pinned, or `now`.
    pub fn row_format(&self, mapping: &Arc<Mapping>, now: Limits) -> RowFormat {
        RowFormat {
            file_id: self.file_id,
            mapping: Arc::clone(mapping),
            limits: self.limits.unwrap_or(now),
            forced_ends: self.forced_ends.clone(),
        }
    }
}

impl From<Checkpoint> for MappedFile {
    fn from(checkpoint: Checkpoint) -> Self {
        Self { path: checkpoint.path, mapping: checkpoint.mapping }
    }
}
