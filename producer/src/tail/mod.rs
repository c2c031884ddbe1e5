//! Follows the files of one directory. What enters are wake-ups and files, what leaves are chunks of messages.
//!
//! All of it runs on one blocking thread: file systems have no waiting that an async runtime could use, and a
//! full channel to `publish` is what holds the reading back.

mod watch; // notifications -> wakes
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
use crate::wake::Wake;
pub(crate) use reading::Chunk;
pub(crate) use tailed_file::Context;
use tailer::Tailer;

/// Why tailing ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A position could not be kept.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

/// What is left when tailing ends.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The files that were met, whether they were read in this run or before.
    pub files: Vec<FileId>,
    /// Files that cannot be read as they are, with a sentence that says why.
    pub parked: Vec<(PathBuf, String)>,
    /// Files whose rows are not all known to be in a table.
    pub open: usize,
}

/// Follows `landing` until `shutdown` drains, or, once `ending` is cancelled, until every file that is there then is
/// closed.
pub(crate) fn run(
    context: Context,
    landing: &Path,
    (wakes, inbox): (mpsc::Sender<Wake>, mpsc::Receiver<Wake>),
    chunks: mpsc::Sender<Chunk>,
    ending: CancellationToken,
    pulse: Pulse,
    shutdown: &Shutdown,
) -> Result<Outcome, Error> {
    // Kept until the end: dropping it ends the notifications.
    let _watcher = watch::watch(landing, wakes);
    Tailer::new(context, landing, inbox, chunks, ending, pulse).run(shutdown)
}
