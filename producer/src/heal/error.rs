//! Why a healing ends before everything is published again.

use std::io;
use std::path::PathBuf;

use common::{nats, stream};
use tokio::sync::mpsc::error::SendError;
use tokio::task::JoinError;

use crate::tail::Chunk;
use crate::{checkpoint, lock, publish};

/// Why rows cannot be published again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The checkpoint directory cannot be used.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// Checkpoints cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// The broker cannot be used.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The stream cannot be used.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// The stream cannot be looked at.
    #[error("failed to look at the stream {}", stream::STREAM)]
    Look(#[source] async_nats::Error),
    /// The stream cannot be read through.
    #[error("failed to read the stream {} at message {sequence}", stream::STREAM)]
    Read {
        /// The first message that did not come.
        sequence: u64,
        /// What is wrong.
        #[source]
        source: async_nats::Error,
    },
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Publishing ended.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// What was sent is gone.
    #[error("the stream lost data while it was healed; run `millrace heal` again")]
    Lost,
    /// Asked to stop.
    #[error("stopped before everything was published again; run `millrace heal` again")]
    Stopped,
    /// A task panicked.
    #[error("a part of the healing ended by a panic")]
    Panic(#[from] JoinError),
}

/// The publisher has ended, and says itself why.
impl From<SendError<Chunk>> for Error {
    fn from(_: SendError<Chunk>) -> Self {
        publish::Error::Closed.into()
    }
}
