//! Follows the files of one directory. What enters are wake-ups and files, what leaves are chunks of messages.
//!
//! All of it runs on one blocking thread: file systems have no waiting that an async runtime could use, and a
//! full channel to `publish` is what holds the reading back.

mod account;
pub(crate) mod buffer;
pub(crate) mod compressed;
pub(crate) mod content;
pub(crate) mod followed;
pub(crate) mod head;
pub(crate) mod identity;
pub(crate) mod links;
mod overlong;
pub(crate) mod reading;
pub(crate) mod records;
pub(crate) mod settle;
mod scan;
mod tailer;
mod truncated;
mod watch;

use std::path::{Path, PathBuf};

use common::health::Pulse;
use common::wire::ClosedFile;
use common::{FileId, Shutdown};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::checkpoint;
pub(crate) use followed::{Context, MaxPayload};
pub(crate) use reading::Chunk;
use tailer::Tailer;

/// Why tailing ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A position could not be kept.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

/// What wakes the tailer.
#[derive(Debug)]
pub(crate) enum Wake {
    /// Something happened to this file.
    Changed(PathBuf),
    /// Every row of this account is in a table.
    Closed(FileId, ClosedFile),
    /// The stream lost data: everything that is not closed is read again, as this generation.
    Rewind(u64),
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
