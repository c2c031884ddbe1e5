//! Counts of a running generator, and of a finished run.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has landed so far.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    files: AtomicU64,
}

impl Progress {
    /// Rows in the files that have landed.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Files that have landed.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    pub(super) fn add_file(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.files.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a run has landed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// All rows, good or not.
    pub rows: u64,
    pub files: u64,
    /// Rows among them that are spoilt, and belong in `corrupt_records`.
    pub spoilt: u64,
    /// Rows among them that copy an earlier good one, and belong in `duplicates`.
    pub copied: u64,
}
