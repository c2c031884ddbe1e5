//! How far rows of a file may have been sent, which is beyond what its checkpoint says of acknowledged ones.
//!
//! After a crash the rows between are sent again, and have to be the same rows. Where the bytes up to here are not
//! those of then, the file is another one, even if it fits its checkpoint: a writer may have cut its end off and
//! written another one while nobody looked.
//!
//! It is in the store before each chunk of rows is sent, and not synced: it has to outlive the process, not the machine.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::file::Position;

/// The farthest that rows of one file were sent, over all times that it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ahead {
    pub reached: Position,
    /// As in the checkpoint.
    pub cuts: Vec<u64>,
}

impl Ahead {
    /// Where nothing is known but the checkpoint.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self { reached: checkpoint.reached, cuts: checkpoint.cuts.clone() }
    }
}
