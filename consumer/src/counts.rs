//! What became of rows.

use std::ops::AddAssign;

/// Rows by what became of them, and the transactions that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New rows in `events`.
    pub events: u64,
    /// New rows in `duplicates`: their event id belongs to another row.
    pub duplicates: u64,
    /// New rows in `corrupt_records`.
    pub corrupt: u64,
    /// Rows that were there already, because their message or another one for the same row came before.
    pub redelivered: u64,
    /// Committed transactions.
    pub batches: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.events += more.events;
        self.duplicates += more.duplicates;
        self.corrupt += more.corrupt;
        self.redelivered += more.redelivered;
        self.batches += more.batches;
    }
}
