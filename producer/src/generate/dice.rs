//! Chance, made repeatable.
//!
//! rand's `StdRng` may change its algorithm in any release; a generator that is named for its algorithm may
//! not. xoshiro256++ is the fastest of those that rand carries, and nothing here has to be unpredictable. How
//! `rand` and `fake` turn its output into ranges and names is held still by Cargo.lock.

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

/// Where every random choice comes from.
pub(super) type Dice = Xoshiro256PlusPlus;

/// What is drawn. Each kind has random numbers of its own: one more draw of one does not shift another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Products = 1,
    Visitors = 2,
    FileSizes = 3,
    Rows = 4,
}

/// The dice for the `number`th of a kind, or for a kind under the seed `number`.
pub(super) fn dice(of: Of, number: u64) -> Dice {
    // `seed_from_u64` mixes its bits thoroughly: neighbouring numbers give unrelated sequences.
    Dice::seed_from_u64(number ^ ((of as u64) << 56))
}
