//! A seed enters; what happens to what, when and for how long leaves. The same seed gives the same plan.
//!
//! Faults are drawn from a deck, so that each kind comes within 35 rounds, in another order with each seed. What
//! is done to files is not part of it: that follows the pace of rows.

mod fault; // what is struck, how, for how long

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use sandbox::Way;

use super::kind::Kind;
pub(super) use fault::{Disturbance, Fault, Link, PROCESS_GROUPS, Strike, Victim};

/// The longest pause before a round.
const MAX_PAUSE_MS: u64 = 1_000;
/// How often a second process is killed or stopped while the first strike lasts.
const PAIR_PROBABILITY: f64 = 0.12;
/// How often the time to recover is measured.
const MEASURED_PROBABILITY: f64 = 0.5;
/// How many of each kind are in the deck.
const DECK: [(Kind, usize); 6] = [
    (Kind::Kill, 14),
    (Kind::Stop, 4),
    (Kind::Network, 6),
    (Kind::Fill, 2),
    (Kind::Store, 1),
    (Kind::Restore, 1),
];
/// How many of them come with one [`Card::KillInFlight`].
const OTHERS: usize = 4;
/// How long the producer's messages cannot arrive before it is killed: longer than `tail.checkpoint_every`, so that a
/// checkpoint that had passed them would be on disk.
const IN_FLIGHT_MS: RangeInclusive<u64> = 700..=1_500;

/// A card of the deck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Card {
    /// A fault of this kind.
    One(Kind),
    /// The producer is killed while it has messages in flight that will never arrive.
    KillInFlight,
}

/// One fault, or two at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// The pause before it.
    pub(super) pause: Duration,
    /// Whether it begins when everything has recovered and ends when this has, so that the time can be measured. The
    /// others hit what is still recovering.
    pub(super) is_measured: bool,
    /// Begun one after the other, each as long as it lasts; ended in the same order.
    pub(super) faults: Vec<Fault>,
}

/// Rounds without end, or until there were `kills` kills.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Named for its algorithm, which does not change with a release of `rand` as that of `StdRng` may.
    random: Xoshiro256PlusPlus,
    consumers: u16,
    kinds: BTreeSet<Kind>,
    deck: Vec<Card>,
    kills_left: Option<u64>,
}

impl Plan {
    pub(super) fn new(seed: u64, consumers: u16, kinds: BTreeSet<Kind>, kills: Option<u64>) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { random, consumers, kinds, deck: Vec::new(), kills_left: kills }
    }

    /// The next card; `None` where only files are struck.
    fn draw(&mut self) -> Option<Card> {
        if self.deck.is_empty() {
            let chosen = DECK.iter().filter(|(kind, _)| self.kinds.contains(kind));
            let mut cards: Vec<Card> =
                chosen.flat_map(|(kind, count)| std::iter::repeat_n(Card::One(*kind), *count)).collect();
            cards.shuffle(&mut self.random);
            for others in cards.chunks(OTHERS) {
                let start = self.deck.len();
                self.deck.extend(others);
                if self.kinds.contains(&Kind::Kill) {
                    let at = self.random.random_range(start..=self.deck.len());
                    self.deck.insert(at, Card::KillInFlight);
                }
            }
        }
        self.deck.pop()
    }

    fn faults(&mut self, card: Card) -> Vec<Fault> {
        match card {
            Card::KillInFlight => self.kill_in_flight().into(),
            Card::One(kind) => {
                let first = self.fault(kind, None);
                let second = self.second(first);
                [first].into_iter().chain(second).collect()
            }
        }
    }

    fn kill_in_flight(&mut self) -> [Fault; 2] {
        let ways = [
            Strike::Kill(Victim::Nats),
            Strike::Kill(Victim::Nats),
            Strike::Network(Link::ProducerToNats, Disturbance::Cut),
            Strike::Network(Link::ProducerToNats, Disturbance::Blackhole),
            Strike::Fill,
        ];
        let chosen: Vec<Strike> =
            ways.into_iter().filter(|strike| self.kinds.contains(&strike.kind())).collect();
        let strike = chosen.choose(&mut self.random).copied().unwrap_or(ways[0]);
        let first = Fault { strike, lasts: self.millis(IN_FLIGHT_MS) };
        [first, Fault { strike: Strike::Kill(Victim::Producer), lasts: self.millis(lasts_ms(Kind::Kill)) }]
    }

    /// Sometimes another process is killed or stopped while the first fault lasts.
    fn second(&mut self, first: Fault) -> Option<Fault> {
        let kinds: Vec<Kind> =
            [Kind::Kill, Kind::Stop].into_iter().filter(|kind| self.kinds.contains(kind)).collect();
        if first.strike == Strike::Restore || kinds.is_empty() || !self.random.random_bool(PAIR_PROBABILITY) {
            return None;
        }
        let kind = if self.random.random_bool(0.8) { kinds[0] } else { kinds[kinds.len() - 1] };
        Some(self.fault(kind, first.strike.victim()))
    }

    fn fault(&mut self, kind: Kind, other: Option<Victim>) -> Fault {
        let strike = match kind {
            Kind::Kill => Strike::Kill(self.victim(other)),
            Kind::Stop => Strike::Stop(self.victim(other)),
            Kind::Network => Strike::Network(self.link(), self.disturbance()),
            Kind::Fill => Strike::Fill,
            Kind::Store => Strike::Store,
            _ => Strike::Restore,
        };
        Fault { strike, lasts: self.millis(lasts_ms(kind)) }
    }

    /// Any but the other one.
    fn victim(&mut self, other: Option<Victim>) -> Victim {
        loop {
            let victim = match self.random.random_range(0..10) {
                0..3 => Victim::Producer,
                3..6 => Victim::Consumer(self.replica()),
                6..8 => Victim::Nats,
                _ => Victim::Postgres,
            };
            if Some(victim) != other {
                return victim;
            }
        }
    }

    fn link(&mut self) -> Link {
        match self.random.random_range(0..3) {
            0 => Link::ProducerToNats,
            1 => Link::ConsumerToNats(self.replica()),
            _ => Link::ConsumerToPostgres(self.replica()),
        }
    }

    fn disturbance(&mut self) -> Disturbance {
        let way = if self.random.random_bool(0.5) { Way::ToServer } else { Way::ToClient };
        match self.random.random_range(0..6) {
            0 | 1 => Disturbance::Hold(way),
            2 => Disturbance::HoldBoth,
            3 => Disturbance::Cut,
            4 => Disturbance::HalfClose(way),
            _ => Disturbance::Blackhole,
        }
    }

    fn replica(&mut self) -> u16 {
        self.random.random_range(1..=self.consumers)
    }

    fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    /// Leaves out the kills that are more than were asked for.
    fn limit_kills(&mut self, faults: &mut Vec<Fault>) {
        let Some(left) = &mut self.kills_left else { return };
        faults.retain(|fault| {
            let is_kill = fault.strike.kind() == Kind::Kill;
            let is_allowed = !is_kill || *left > 0;
            *left -= u64::from(is_allowed && is_kill);
            is_allowed
        });
    }
}

impl Iterator for Plan {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        if self.kills_left == Some(0) {
            return None;
        }
        let pause = self.millis(0..=MAX_PAUSE_MS);
        let Some(card) = self.draw() else {
            return Some(Round { pause, is_measured: false, faults: Vec::new() });
        };
        let mut faults = self.faults(card);
        let is_measured = self.random.random_bool(MEASURED_PROBABILITY) && faults.len() == 1;
        self.limit_kills(&mut faults);
        Some(Round { pause, is_measured, faults })
    }
}

impl Round {
    pub(super) fn kills(&self) -> u64 {
        self.faults.iter().filter(|fault| fault.strike.kind() == Kind::Kill).count() as u64
    }
}

/// How long a fault of this kind lasts.
fn lasts_ms(kind: Kind) -> RangeInclusive<u64> {
    match kind {
        Kind::Kill | Kind::Store => 50..=500,
        Kind::Stop => 200..=1_500,
        Kind::Network => 300..=4_000,
        Kind::Fill => 300..=1_500,
        _ => 500..=3_000,
    }
}

#[cfg(test)]
mod tests;
