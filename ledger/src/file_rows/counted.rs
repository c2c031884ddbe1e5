//! What the tables hold of one file, put together from blocks of bits: ranges of rows, and counts.

use std::collections::BTreeMap;

use common::RowSet;
use common::origin::Row;

use super::FileRows;
use crate::file_totals::FileTotals;

/// Rows of a block, a bit each.
pub(super) const BLOCK: i64 = 64;

/// What the tables hold of one file.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) events: i64,
    pub(super) duplicates: i64,
    pub(super) corrupt_records: i64,
    /// In rising order; those that touch are joined.
    ranges: Vec<(Row, Row)>,
    /// Blocks in which a row is there twice.
    pub(super) crowded: Vec<i64>,
    pub(super) twice: BTreeMap<String, RowSet>,
}

impl Counted {
    /// Adds the rows from `start` on whose bits are set.
    pub(super) fn add(&mut self, start: Row, mut bits: u64) {
        let mut row = start;
        while bits != 0 {
            let gap = bits.trailing_zeros();
            let run = (bits >> gap).trailing_ones();
            let first = row + Row::from(gap);
            let last = first + Row::from(run) - 1;
            match self.ranges.last_mut() {
                Some(before) if before.1 + 1 == first => before.1 = last,
                _ => self.ranges.push((first, last)),
            }
            row = last + 1;
            bits = bits.checked_shr(gap + run).unwrap_or(0);
        }
    }

    pub(super) fn into_file_rows(self, totals: FileTotals) -> FileRows {
        let totals = FileTotals {
            events: self.events,
            duplicates: self.duplicates,
            corrupt_records: self.corrupt_records,
            ..totals
        };
        FileRows { totals, present: self.ranges.into_iter().collect(), twice: self.twice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(blocks: &[(i64, u64)]) -> String {
        let mut counted = Counted::default();
        for (block, bits) in blocks {
            counted.add(block * BLOCK, *bits);
        }
        counted.ranges.into_iter().collect::<RowSet>().to_string()
    }

    #[test]
    fn blocks_become_ranges() {
        assert_eq!(ranges(&[(0, !1), (1, !0), (2, 0b11)]), "1-129");
        assert_eq!(ranges(&[(0, 0b1011_0110), (2, 1 << 63), (3, 1)]), "1-2, 4-5, 7, 191-192");
        assert_eq!(ranges(&[(1, !0), (3, 0)]), "64-127");
    }
}
