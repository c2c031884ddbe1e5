//! What one transaction has really added, by file.

use std::collections::BTreeMap;

use crate::Counts;

/// Rows of one file by the table that they were added to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) events: i64,
    pub(super) duplicates: i64,
    pub(super) corrupt: i64,
}

/// The counts of one transaction.
#[derive(Debug, Default)]
pub(super) struct BatchCounts {
    /// By file; `None` holds records without origin.
    pub(super) files: BTreeMap<Option<i64>, Added>,
    /// The rows among them that were added to `events`, by file and block of 64: a bit for each.
    pub(super) blocks: BTreeMap<(i64, i64), i64>,
    /// Rows and records that were there already.
    pub(super) redelivered: i64,
}

impl BatchCounts {
    pub(super) fn file(&mut self, file: Option<i64>) -> &mut Added {
        self.files.entry(file).or_default()
    }

    /// `rows` of `file` were added to `events`: those that have a bit in the block.
    pub(super) fn add_events(&mut self, file: i64, block: i64, bits: i64, rows: i64) {
        self.file(Some(file)).events += rows;
        *self.blocks.entry((file, block)).or_default() |= bits;
    }

    pub(super) fn total(&self) -> Added {
        self.files.values().fold(Added::default(), |sum, added| Added {
            events: sum.events + added.events,
            duplicates: sum.duplicates + added.duplicates,
            corrupt: sum.corrupt + added.corrupt,
        })
    }

    /// Whether a row was there already, under its own origin or another one.
    pub(super) fn has_conflicts(&self) -> bool {
        self.redelivered > 0 || self.files.values().any(|added| added.duplicates > 0)
    }

    pub(super) fn counts(&self) -> Counts {
        let total = self.total();
        Counts {
            events: total.events.unsigned_abs(),
            duplicates: total.duplicates.unsigned_abs(),
            corrupt: total.corrupt.unsigned_abs(),
            redelivered: self.redelivered.unsigned_abs(),
            batches: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_of_a_batch_are_those_of_all_its_files() {
        let mut counts = BatchCounts::default();
        counts.add_events(7, 0, 0b11, 2);
        counts.add_events(7, 0, 0b110, 1);
        counts.add_events(8, 1, 0b1, 1);
        *counts.file(Some(8)) = Added { duplicates: 2, corrupt: 3, ..*counts.file(Some(8)) };
        *counts.file(None) = Added { duplicates: 5, corrupt: 7, ..Added::default() };
        assert_eq!(counts.total(), Added { events: 4, duplicates: 7, corrupt: 10 });
        assert_eq!(counts.blocks, BTreeMap::from([((7, 0), 0b111), ((8, 1), 0b1)]));
    }

    #[test]
    fn rows_that_were_there_already_are_conflicts_and_rejected_ones_are_none() {
        let mut counts = BatchCounts::default();
        counts.add_events(7, 0, 0b1, 1);
        counts.file(Some(7)).corrupt = 1;
        assert!(!counts.has_conflicts());
        assert!(BatchCounts { redelivered: 1, ..BatchCounts::default() }.has_conflicts());
        counts.file(Some(7)).duplicates = 1;
        assert!(counts.has_conflicts());
    }
}
