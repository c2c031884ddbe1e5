//! What is in the checkpoints of this machine, for commands that only read: nothing is made and nothing is locked.

use std::path::{Path, PathBuf};

use common::FileId;
use common::config::Config;

use crate::checkpoint::{Checkpoint, Error, Reader, State};

/// A file that was read on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointSummary {
    pub file_id: FileId,
    /// Where it was read.
    pub path: PathBuf,
    /// Where it is now; `None` where it was deleted.
    pub place: Option<PathBuf>,
    /// `reading`, `archiving`, `archived`, `kept`, `deleting`, `deleted` or `truncated`.
    pub state: &'static str,
    /// Its rows that the stream has acknowledged.
    pub rows: i64,
    /// Whether rows, and later totals, may still come.
    pub is_reading: bool,
    /// Whether every row of it is in a table, as the consumer has announced.
    pub is_closed: bool,
}

/// The checkpoints of all files; `None` where there is no directory of checkpoints.
pub fn checkpoint_summaries(config: &Config) -> Result<Option<Vec<CheckpointSummary>>, Error> {
    let Some(reader) = Reader::open(&config.checkpoint_dir())? else { return Ok(None) };
    Ok(Some(reader.rows().all()?.iter().map(CheckpointSummary::from).collect()))
}

impl From<&Checkpoint> for CheckpointSummary {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            file_id: checkpoint.file_id,
            path: checkpoint.path.clone(),
            place: checkpoint.place().map(Path::to_owned),
            state: checkpoint.state.as_str(),
            rows: checkpoint.reached.row,
            is_reading: checkpoint.state == State::Reading,
            is_closed: !matches!(checkpoint.state, State::Reading | State::Truncated),
        }
    }
}

impl Checkpoint {
    /// Where the file is now; `None` where it was deleted.
    pub fn place(&self) -> Option<&Path> {
        match &self.state {
            State::Archived { target } | State::Copied { target, .. } => Some(target),
            // A crash may have cut the move on either side of it.
            State::Archiving { target, .. } if target.exists() => Some(target),
            State::Deleted => None,
            _ => Some(&self.path),
        }
    }
}
