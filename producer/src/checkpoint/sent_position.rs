//! How far rows of a file may have been sent. The checkpoint only has what was acknowledged.
//!
//! After a crash the rows between the two are sent again, and have to be the same rows. If the bytes up to the sent
//! position have changed, the file is another one, even if it still fits its checkpoint: a writer may have replaced its
//! end while no tailer was running.
//!
//! It is written before each chunk of rows is sent, without fsync: it has to survive a crash of the process, not of the
//! machine.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::file::Position;

/// The farthest that rows of one file were sent, over all times that it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentPosition {
    pub reached: Position,
    /// As in the checkpoint.
    #[serde(rename = "cuts")]
    pub forced_ends: Vec<u64>,
}

impl SentPosition {
    /// Of a file of which no sent position was written.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self { reached: checkpoint.reached, forced_ends: checkpoint.forced_ends.clone() }
    }
}
