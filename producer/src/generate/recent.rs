//! The good rows of late, also of earlier files, from which copies are made.

use csv::ByteRecord;
use rand::RngExt as _;

use super::dice::Dice;

/// How many rows are kept.
const KEPT: usize = 512;

/// A ring of rows.
#[derive(Debug, Default)]
pub(super) struct Recent {
    rows: Vec<ByteRecord>,
    oldest: usize,
}

impl Recent {
    /// Keeps a row in exchange for the oldest, whose memory the next row may use. Spoilt rows must not come
    /// here: a copy is meant to be refused for being a copy.
    pub(super) fn keep(&mut self, row: &mut ByteRecord) {
        if self.rows.len() < KEPT {
            self.rows.push(std::mem::take(row));
        } else {
            std::mem::swap(row, &mut self.rows[self.oldest]);
            self.oldest = (self.oldest + 1) % KEPT;
        }
    }

    /// Any row that is kept; None at the very start.
    pub(super) fn any(&self, dice: &mut Dice) -> Option<&ByteRecord> {
        (!self.rows.is_empty()).then(|| &self.rows[dice.random_range(0..self.rows.len())])
    }
}
