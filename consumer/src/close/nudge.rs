//! Word from the writers to the closer: that something has committed, and of which files.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

type Files = Arc<Mutex<BTreeSet<i64>>>;

/// Where a writer leaves word; each has a clone.
#[derive(Clone, Debug)]
pub(crate) struct Nudge {
    files: Files,
    waker: mpsc::Sender<()>,
}

/// Where the closer hears it.
#[derive(Debug)]
pub(crate) struct Nudges {
    files: Files,
    woken: mpsc::Receiver<()>,
}

/// Makes both ends.
pub(crate) fn nudges() -> (Nudge, Nudges) {
    let files = Files::default();
    let (waker, woken) = mpsc::channel(1);
    (Nudge { files: Arc::clone(&files), waker }, Nudges { files, woken })
}

impl Nudge {
    /// A transaction with rows or accounts of these files has committed.
    pub(crate) fn committed(&self, files: impl IntoIterator<Item = i64>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).extend(files);
        // A full channel wakes already.
        let _ = self.waker.try_send(());
    }
}

impl Nudges {
    /// Waits for word; `false` when nobody is left who could give one.
    pub(super) async fn wait(&mut self) -> bool {
        self.woken.recv().await.is_some()
    }

    /// The files of all transactions since it was asked last.
    pub(super) fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *self.files.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}
