//! Counts of a running healing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub struct Progress {
    /// What the publisher has done.
    pub(super) sent: Arc<crate::Progress>,
    read: AtomicU64,
    to_read: AtomicU64,
    found: AtomicU64,
}

impl Progress {
    /// Messages of the stream, and rows of files, that were read.
    pub fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// How many there are to read, as far as is known yet.
    pub fn to_read(&self) -> u64 {
        self.to_read.load(Relaxed)
    }

    /// Rows that were missing.
    pub fn found(&self) -> u64 {
        self.found.load(Relaxed)
    }

    /// Messages that the stream has acknowledged.
    pub fn sent(&self) -> u64 {
        self.sent.messages()
    }

    pub(super) fn expect(&self, messages: u64) {
        self.to_read.fetch_add(messages, Relaxed);
    }

    pub(super) fn note(&self, read: usize, found: usize) {
        self.read.fetch_add(read as u64, Relaxed);
        self.found.fetch_add(found as u64, Relaxed);
    }
}
