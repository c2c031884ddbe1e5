//! From the writers to the closer: which files a commit has touched.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

type Files = Arc<Mutex<BTreeSet<i64>>>;

/// The writers' end; each writer has a clone.
#[derive(Clone, Debug)]
pub(crate) struct CommitNotifier {
    files: Files,
    waker: mpsc::Sender<()>,
}

/// The closer's end.
#[derive(Debug)]
pub(crate) struct CommitNotifications {
    files: Files,
    woken: mpsc::Receiver<()>,
}

pub(crate) fn commit_notifications() -> (CommitNotifier, CommitNotifications) {
    let files = Files::default();
    let (waker, woken) = mpsc::channel(1);
    (CommitNotifier { files: Arc::clone(&files), waker }, CommitNotifications { files, woken })
}

impl CommitNotifier {
    /// A transaction with rows or totals of these files has committed.
    pub(crate) fn committed(&self, files: impl IntoIterator<Item = i64>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).extend(files);
        // A full channel wakes already.
        let _ = self.waker.try_send(());
    }
}

impl CommitNotifications {
    /// Waits for a commit; `false` when every writer has ended.
    pub(super) async fn wait(&mut self) -> bool {
        self.woken.recv().await.is_some()
    }

    /// The files of all commits since the last call.
    pub(super) fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *self.files.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn commits_are_reported_once_and_the_end_of_all_writers_too() {
        let (one, mut notifications) = commit_notifications();
        let other = one.clone();
        one.committed([7, 8]);
        other.committed([8, 9]);
        assert!(notifications.wait().await);
        assert_eq!(notifications.take(), [7, 8, 9]);
        assert!(notifications.take().is_empty());
        drop((one, other));
        assert!(!notifications.wait().await);
    }
}
