//! Counts of a running tailer, for whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::health::Health;

/// What a tailer has done since it started.
#[derive(Debug, Default)]
pub struct Progress {
    acknowledged: AtomicU64,
    resent: AtomicU64,
    health: Health,
}

impl Progress {
    /// Messages that the stream has acknowledged: rows, rejected rows and accounts.
    pub fn messages(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    pub fn resends(&self) -> u64 {
        self.resent.load(Relaxed)
    }

    /// Whether its stages turn, and whether it has what it needs.
    pub fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Relaxed);
    }

    pub(crate) fn resent(&self) {
        self.resent.fetch_add(1, Relaxed);
    }
}
