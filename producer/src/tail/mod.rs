//! Tails the files of one directory. What enters are files and messages to the tailer, what leaves are chunks.
//!
//! All of it runs on one blocking thread, since file systems have no asynchronous reads. While the channel to `publish`
//! is full, nothing is read.

mod watch; // notifications -> messages to the tailer
mod scan; // a directory -> files
pub(crate) mod tailed_file; // one file over time
pub(crate) mod reading; // rows -> chunks of messages
pub(crate) mod totals; // a checkpoint -> the message with its totals
mod truncated; // files that were rewritten or removed
mod tailer; // the loop

use std::path::{Path, PathBuf};

use common::health::Pulse;
use common::{FileId, Shutdown};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::checkpoint;
use crate::tailer_message::TailerMessage;
pub(crate) use reading::Chunk;
pub(crate) use tailed_file::Context;
use tailer::Tailer;

/// Why tailing ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

/// What is left when tailing ends.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The files that were found, whether they were read in this run or before.
    pub files: Vec<FileId>,
    /// Files that cannot be read as they are, with the reason.
    pub parked: Vec<(PathBuf, String)>,
    /// How many files are not closed.
    pub open: usize,
}

/// Tails `landing` until `shutdown` drains, or, once `ending` is cancelled, until every file that is there then is
/// closed.
pub(crate) fn run(
    context: Context,
    landing: &Path,
    (to_tailer, inbox): (mpsc::Sender<TailerMessage>, mpsc::Receiver<TailerMessage>),
    chunks: mpsc::Sender<Chunk>,
    ending: CancellationToken,
    pulse: Pulse,
    shutdown: &Shutdown,
) -> Result<Outcome, Error> {
    // Dropping it ends the notifications.
    let _watcher = watch::watch(landing, to_tailer);
    Tailer::new(context, landing, inbox, chunks, ending, pulse).run(shutdown)
}
