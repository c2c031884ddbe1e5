//! What the checkpoints of this machine tell of files, for those who only look: nothing is made and nothing is locked.

use std::path::{Path, PathBuf};

use common::FileId;
use common::config::Config;

use crate::checkpoint::{Checkpoint, Error, Reader, State};

/// A file as its checkpoint knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Its id.
    pub file_id: FileId,
    /// Where it was read.
    pub path: PathBuf,
    /// Where it is now; `None` where it was deleted.
    pub place: Option<PathBuf>,
    /// `reading`, `archiving`, `archived`, `kept`, `deleting`, `deleted` or `truncated`.
    pub state: &'static str,
    /// Its rows that the stream has acknowledged.
    pub rows: i64,
    /// Whether rows, and another account, may still come.
    pub is_reading: bool,
    /// Whether the consumer has said that every row of it is in a table.
    pub is_closed: bool,
}

/// Every file of which there is a checkpoint; `None` where there is no directory of checkpoints.
pub fn known_files(config: &Config) -> Result<Option<Vec<KnownFile>>, Error> {
    let Some(reader) = Reader::open(&config.checkpoint_dir())? else { return Ok(None) };
    Ok(Some(reader.rows().all()?.iter().map(KnownFile::from).collect()))
}

impl From<&Checkpoint> for KnownFile {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            file_id: checkpoint.file_id,
            path: checkpoint.path.clone(),
            place: place(checkpoint).map(Path::to_owned),
            state: checkpoint.state.as_str(),
            rows: checkpoint.reached.row,
            is_reading: checkpoint.state == State::Reading,
            is_closed: !matches!(checkpoint.state, State::Reading | State::Truncated),
        }
    }
}

/// Where the file of a checkpoint is now; `None` where it was deleted.
pub(crate) fn place(checkpoint: &Checkpoint) -> Option<&Path> {
    match &checkpoint.state {
        State::Archived { target } | State::Copied { target, .. } => Some(target),
        // A crash may have cut the move on either side of it.
        State::Archiving { target, .. } if target.exists() => Some(target),
        State::Deleted => None,
        _ => Some(&checkpoint.path),
    }
}
