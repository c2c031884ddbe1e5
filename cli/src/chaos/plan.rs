//! A seed enters; what happens to what, when and for how long leaves. The same seed gives the same plan.
//!
//! Kinds of strikes are drawn from a deck, so that each comes in the time of some thirty strikes, in another order with
//! each seed. What is done to files is not part of it: that follows the pace of rows.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use sandbox::Way;

use super::kind::Kind;

/// The longest pause before a strike.
const CALM_MS: u64 = 1_000;
/// How often a second process is killed or stopped while the first strike lasts.
const PAIRS: f64 = 0.12;
/// How often a round awaits recovery.
const PATIENCE: f64 = 0.5;
/// How many of each kind are in the deck, and how long one lasts at least and at most, in milliseconds.
const DECK: [(Kind, usize, [u64; 2]); 6] = [
    (Kind::Kill, 17, [50, 500]),
    (Kind::Stop, 4, [200, 1_500]),
    (Kind::Network, 6, [300, 4_000]),
    (Kind::Fill, 2, [300, 1_500]),
    (Kind::Store, 1, [50, 500]),
    (Kind::Restore, 1, [500, 3_000]),
];

/// Processes that are counted together.
pub(super) const GROUPS: [&str; 4] = ["producer", "consumers", "nats-server", "PostgreSQL"];

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Victim {
    /// The tailer.
    Producer,
    /// One replica, from 1.
    Consumer(u16),
    /// The broker.
    Nats,
    /// The database.
    Postgres,
}

/// A connection between a process and a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// From the tailer to the broker.
    ProducerToNats,
    /// From this replica to the broker.
    ConsumerToNats(u16),
    /// From this replica to the database.
    ConsumerToPostgres(u16),
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// Nothing goes in this direction until it is over, and then all of it.
    Hold(Way),
    /// The same in both directions.
    HoldBoth,
    /// Connections are closed, and new ones refused.
    Cut,
    /// This direction is closed for good.
    HalfClose(Way),
    /// Connections stay open and carry nothing for good; new ones work.
    Strand,
}

/// What is struck, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    Kill(Victim),
    Stop(Victim),
    Network(Link, Disturbance),
    Fill,
    Store,
    Restore,
}

/// One strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) strike: Strike,
    /// How long it lasts; of a restore, how old the copy is.
    pub(super) lasts: Duration,
}

/// One strike, or two at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// The pause before it.
    pub(super) calm: Duration,
    /// Whether it begins when everything has recovered and ends when this has, so that the time can be measured. The
    /// others hit what is still recovering.
    pub(super) is_patient: bool,
    /// Struck one after the other, each as long as it lasts; ended in the same order.
    pub(super) faults: Vec<Fault>,
}

/// Rounds without end, or until there were `kills` kills.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Named for its algorithm, which does not change with a release of `rand` as that of `StdRng` may.
    dice: Xoshiro256PlusPlus,
    consumers: u16,
    kinds: BTreeSet<Kind>,
    deck: Vec<Kind>,
    kills_left: Option<u64>,
}

impl Plan {
    pub(super) fn new(seed: u64, consumers: u16, kinds: BTreeSet<Kind>, kills: Option<u64>) -> Self {
        let dice = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self { dice, consumers, kinds, deck: Vec::new(), kills_left: kills }
    }

    /// The next kind; `None` where only files are struck.
    fn draw(&mut self) -> Option<Kind> {
        if self.deck.is_empty() {
            let of_kind = |(kind, count, _): &(Kind, usize, _)| vec![*kind; *count];
            self.deck = DECK.iter().flat_map(of_kind).filter(|kind| self.kinds.contains(kind)).collect();
            self.deck.shuffle(&mut self.dice);
        }
        self.deck.pop()
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
        let [least, most] = DECK.iter().find(|row| row.0 == kind).map_or([0, 0], |row| row.2);
        Fault { strike, lasts: Duration::from_millis(self.dice.random_range(least..=most)) }
    }

    /// Any but the other one.
    fn victim(&mut self, other: Option<Victim>) -> Victim {
        loop {
            let victim = match self.dice.random_range(0..10) {
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
        match self.dice.random_range(0..3) {
            0 => Link::ProducerToNats,
            1 => Link::ConsumerToNats(self.replica()),
            _ => Link::ConsumerToPostgres(self.replica()),
        }
    }

    fn disturbance(&mut self) -> Disturbance {
        let way = if self.dice.random_bool(0.5) { Way::ToServer } else { Way::ToClient };
        match self.dice.random_range(0..6) {
            0 | 1 => Disturbance::Hold(way),
            2 => Disturbance::HoldBoth,
            3 => Disturbance::Cut,
            4 => Disturbance::HalfClose(way),
            _ => Disturbance::Strand,
        }
    }

    fn replica(&mut self) -> u16 {
        self.dice.random_range(1..=self.consumers)
    }
}

impl Iterator for Plan {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        if self.kills_left == Some(0) {
            return None;
        }
        let calm = Duration::from_millis(self.dice.random_range(0..=CALM_MS));
        let Some(kind) = self.draw() else {
            return Some(Round { calm, is_patient: false, faults: Vec::new() });
        };
        let mut faults = vec![self.fault(kind, None)];
        let others: Vec<Kind> =
            [Kind::Kill, Kind::Stop].into_iter().filter(|kind| self.kinds.contains(kind)).collect();
        if kind != Kind::Restore && !others.is_empty() && self.dice.random_bool(PAIRS) {
            let other = if self.dice.random_bool(0.8) { others[0] } else { others[others.len() - 1] };
            let fault = self.fault(other, faults[0].strike.victim());
            faults.push(fault);
        }
        let is_patient = self.dice.random_bool(PATIENCE) && faults.len() == 1;
        if let Some(left) = &mut self.kills_left {
            faults.retain(|fault| {
                let is_kill = fault.is_kill();
                let is_allowed = !is_kill || *left > 0;
                *left -= u64::from(is_allowed && is_kill);
                is_allowed
            });
        }
        Some(Round { calm, is_patient, faults })
    }
}

impl Round {
    pub(super) fn kills(&self) -> u64 {
        self.faults.iter().filter(|fault| fault.is_kill()).count() as u64
    }
}

impl Fault {
    fn is_kill(&self) -> bool {
        matches!(self.strike, Strike::Kill(_))
    }
}

impl Strike {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Kill(_) => Kind::Kill,
            Self::Stop(_) => Kind::Stop,
            Self::Network(..) => Kind::Network,
            Self::Fill => Kind::Fill,
            Self::Store => Kind::Store,
            Self::Restore => Kind::Restore,
        }
    }

    /// Who is away meanwhile.
    fn victim(self) -> Option<Victim> {
        match self {
            Self::Kill(victim) | Self::Stop(victim) => Some(victim),
            Self::Store => Some(Victim::Nats),
            Self::Network(..) | Self::Fill | Self::Restore => None,
        }
    }
}

impl Victim {
    /// Its place in [`GROUPS`].
    pub(super) fn group(self) -> usize {
        match self {
            Self::Producer => 0,
            Self::Consumer(_) => 1,
            Self::Nats => 2,
            Self::Postgres => 3,
        }
    }
}

impl Link {
    /// The process at its near end.
    pub(super) fn client(self) -> Victim {
        match self {
            Self::ProducerToNats => Victim::Producer,
            Self::ConsumerToNats(number) | Self::ConsumerToPostgres(number) => Victim::Consumer(number),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Producer => f.write_str("producer"),
            Self::Consumer(number) => write!(f, "consumer c{number}"),
            Self::Nats => f.write_str("nats-server"),
            Self::Postgres => f.write_str("PostgreSQL"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = if matches!(self, Self::ConsumerToPostgres(_)) { "PostgreSQL" } else { "nats-server" };
        write!(f, "{} to {service}", self.client())
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold(Way::ToServer) => "hold requests of",
            Self::Hold(Way::ToClient) => "hold answers to",
            Self::HoldBoth => "hold both directions of",
            Self::Cut => "cut",
            Self::HalfClose(Way::ToServer) => "half-close requests of",
            Self::HalfClose(Way::ToClient) => "half-close answers to",
            Self::Strand => "strand",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.lasts.as_millis();
        match self.strike {
            Strike::Kill(victim) => write!(f, "kill {victim} for {ms} ms"),
            Strike::Stop(victim) => write!(f, "stop {victim} for {ms} ms"),
            Strike::Network(link, how) => write!(f, "{how} {link} for {ms} ms"),
            Strike::Fill => write!(f, "fill the stream, full for {ms} ms"),
            Strike::Store => write!(f, "remove the store of nats-server, away for {ms} ms"),
            Strike::Restore => write!(f, "put PostgreSQL back to a copy of {ms} ms ago, and heal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Vec<Round> {
        Plan::new(seed, 2, Kind::all().iter().copied().collect(), Some(200)).collect()
    }

    fn faults(rounds: &[Round]) -> Vec<Fault> {
        rounds.iter().flat_map(|round| round.faults.clone()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        // It stays the same in later versions, so that a run can be repeated with another build.
        let first: Vec<_> = faults(&plan(1)).iter().take(3).map(Fault::to_string).collect();
        let expected = [
            "kill PostgreSQL for 286 ms",
            "kill consumer c1 for 227 ms",
            "cut consumer c1 to nats-server for 1276 ms",
        ];
        assert_eq!(first, expected);
    }

    #[test]
    fn there_are_as_many_kills_as_were_asked_for_and_some_of_everything() {
        for seed in 0..20 {
            let rounds = plan(seed);
            assert_eq!(rounds.iter().map(Round::kills).sum::<u64>(), 200);
            let faults = faults(&rounds);
            for victim in
                [Victim::Producer, Victim::Consumer(1), Victim::Consumer(2), Victim::Nats, Victim::Postgres]
            {
                let count = |strike| faults.iter().filter(|fault| fault.strike == strike).count();
                assert!(count(Strike::Kill(victim)) > 10, "{victim}");
            }
            let first: BTreeSet<Kind> = faults.iter().take(40).map(|fault| fault.strike.kind()).collect();
            assert_eq!(first.len(), DECK.len(), "{first:?}");
            let pairs: Vec<_> = rounds.iter().filter(|round| round.faults.len() == 2).collect();
            assert!(pairs.len() > 5);
            assert!(pairs.iter().all(|pair| {
                let victims = [pair.faults[0].strike.victim(), pair.faults[1].strike.victim()];
                !pair.is_patient && victims[0] != victims[1]
            }));
            assert!(rounds.iter().filter(|round| round.is_patient).count() > 50);
        }
    }

    #[test]
    fn only_the_kinds_that_were_chosen_are_struck() {
        let of = |kinds: &[Kind]| {
            let plan = Plan::new(3, 2, kinds.iter().copied().collect(), None);
            let rounds: Vec<Round> = plan.take(100).collect();
            faults(&rounds).iter().map(|fault| fault.strike.kind()).collect::<BTreeSet<_>>()
        };
        assert_eq!(of(&[Kind::Stop, Kind::Append]), [Kind::Stop].into());
        assert_eq!(of(&[Kind::Truncate]), [].into());
    }
}
