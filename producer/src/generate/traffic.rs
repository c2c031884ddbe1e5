//! Many sessions at once: their steps enter as they come, one sequence leaves in which they interleave.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::RngExt as _;

use super::catalogue::Catalogue;
use super::dice::Dice;
use super::session::{Session, Step};

/// How many sessions go on at once: enough to interleave, and few enough that also a short run sees
/// sessions reach the till.
const OPEN_SESSIONS: usize = 64;

/// The longest pause between two steps of a session, in units of no meaning but their order.
const LONGEST_PAUSE: u64 = 1_000;

/// The current sessions. A visitor who leaves is replaced by another one.
#[derive(Debug)]
pub(super) struct Traffic {
    catalogue: Catalogue,
    visitors: u64,
    sessions: Vec<Session>,
    /// When each session acts next, soonest first.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Traffic {
    pub(super) fn new(catalogue: Catalogue, visitors: u64, dice: &mut Dice) -> Self {
        let sessions: Vec<_> = (0..OPEN_SESSIONS).map(|_| Session::open(visitors, dice)).collect();
        let turns = (0..sessions.len())
            .map(|session| Reverse((dice.random_range(0..LONGEST_PAUSE), session)))
            .collect();
        Self { catalogue, visitors, sessions, turns }
    }

    /// The next step of all, and whose it is.
    pub(super) fn step(&mut self, dice: &mut Dice) -> (&Session, Step) {
        let mut turn = self.turns.peek_mut().expect("one turn for each of the open sessions");
        let Reverse((time, number)) = &mut *turn;
        *time += dice.random_range(1..=LONGEST_PAUSE);
        let session = &mut self.sessions[*number];
        loop {
            if let Some(step) = session.step(&self.catalogue, dice) {
                return (session, step);
            }
            *session = Session::open(self.visitors, dice);
        }
    }
}
