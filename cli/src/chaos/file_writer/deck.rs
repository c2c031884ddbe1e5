//! Which kind of strike on files comes next. Kinds are drawn from a shuffled deck without putting them back, so that
//! each comes within a bounded number of strikes, in another order with each seed.

use std::collections::BTreeSet;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;

use crate::chaos::kind::Kind;

/// How many of each kind are in the deck. `None`: a whole file lands, which is no strike.
const DECK: [(Option<Kind>, usize); 8] = [
    (None, 12),
    (Some(Kind::Append), 24),
    (Some(Kind::Compress), 5),
    (Some(Kind::Rotate), 2),
    (Some(Kind::Truncate), 2),
    (Some(Kind::Rewrite), 2),
    (Some(Kind::Remove), 2),
    (Some(Kind::Burst), 1),
];

/// The deck. A kind that was not chosen is a whole file instead.
#[derive(Debug)]
pub(super) struct Deck {
    kinds: BTreeSet<Kind>,
    /// The last one is drawn first.
    left: Vec<Option<Kind>>,
}

impl Deck {
    pub(super) fn new(kinds: &BTreeSet<Kind>) -> Self {
        Self { kinds: kinds.clone(), left: Vec::new() }
    }

    /// The next one that is allowed now. The others keep their turn, and a whole file lands where nothing else is left.
    pub(super) fn draw(
        &mut self,
        random: &mut Xoshiro256PlusPlus,
        is_allowed: impl Fn(Kind) -> bool,
    ) -> Option<Kind> {
        if self.left.is_empty() {
            let chosen = |kind: Option<Kind>| kind.filter(|kind| self.kinds.contains(kind));
            self.left =
                DECK.iter().flat_map(|(kind, count)| std::iter::repeat_n(chosen(*kind), *count)).collect();
            self.left.shuffle(random);
        }
        let at = self.left.iter().rposition(|kind| kind.is_none_or(&is_allowed))?;
        self.left.remove(at)
    }

    /// It could not be done: it comes again with the next strike that may be of this kind.
    pub(super) fn put_back(&mut self, kind: Kind) {
        self.left.push(Some(kind));
    }

    /// The kinds of strikes on files that were chosen.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        DECK.iter().filter_map(|(kind, _)| *kind).filter(|kind| self.kinds.contains(kind))
    }
}
