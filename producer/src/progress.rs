//! Counts of a running tailer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::health::Health;

/// Since the tailer was started.
#[derive(Debug, Default)]
pub struct Progress {
    acknowledged: AtomicU64,
    resent: AtomicU64,
    health: Health,
}

impl Progress {
    /// Messages that the stream has acknowledged: rows, rejected rows and totals.
    pub fn messages(&self) -> u64 {
        self.acknowledged.load(Relaxed)
    }

    pub fn resends(&self) -> u64 {
        self.resent.load(Relaxed)
    }

    /// Of its stages and the services that it needs.
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
