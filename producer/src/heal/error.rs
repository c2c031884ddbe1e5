//! Why a healing ends before everything is published again.

use std::io;
use std::path::PathBuf;

use common::{nats, stream};
use tokio::sync::mpsc::error::SendError;
use tokio::task::JoinError;

use crate::tail::Chunk;
use crate::{checkpoint, lock, publish};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    #[error(transparent)]
    Nats(#[from] nats::Error),
    #[error(transparent)]
    Stream(#[from] stream::Error),
    #[error("failed to inspect the stream {}", stream::STREAM)]
    Inspect(#[source] async_nats::Error),
    #[error("failed to read the stream {} at message {sequence}", stream::STREAM)]
    Read {
        sequence: u64,
        #[source]
        source: async_nats::Error,
    },
    #[error("failed to read {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Publish(#[from] publish::Error),
    #[error("the stream lost data while it was healed; run `millrace heal` again")]
    Lost,
    #[error("stopped before everything was published again; run `millrace heal` again")]
    Stopped,
    #[error("a part of the healing ended by a panic")]
    Panic(#[from] JoinError),
}

/// The publisher has ended; its own error is the reason.
impl From<SendError<Chunk>> for Error {
    fn from(_: SendError<Chunk>) -> Self {
        publish::Error::Closed.into()
    }
}
