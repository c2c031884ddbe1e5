//! A seed enters; what happens to whom, when and for how long leaves. The same seed gives the same plan.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

/// The longest peace before a fault.
const CALM_MS: u64 = 1_000;
/// How long what was killed stays away, at least and at most.
const AWAY_MS: [u64; 2] = [50, 500];
/// How long what was stopped stands still.
const STILL_MS: [u64; 2] = [200, 1_500];
/// How often a fault is a stop rather than a kill.
const STOPS: f64 = 0.15;
/// How often a second one is struck while the first one is away.
const PAIRS: f64 = 0.12;
/// How often a round awaits recovery.
const PATIENCE: f64 = 0.5;

/// What is counted together.
pub(super) const GROUPS: [&str; 4] = ["producer", "consumers", "nats-server", "PostgreSQL"];

/// What can be struck.
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

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGSTOP, and SIGCONT.
    Stop,
}

/// One process is struck and comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) victim: Victim,
    pub(super) how: How,
    /// How long it is away.
    pub(super) down: Duration,
}

/// One fault, or two that are away at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// The peace before it.
    pub(super) calm: Duration,
    /// Whether it begins when everything has recovered and ends when this has, so that the time can be
    /// measured. The others hit what is still recovering.
    pub(super) is_patient: bool,
    /// Struck one after the other, each as long as it says; brought back in the same order.
    pub(super) faults: Vec<Fault>,
}

/// Rounds without end, or until there were `kills` kills.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Named for its algorithm, which does not change with a release of `rand` as that of `StdRng` may.
    dice: Xoshiro256PlusPlus,
    consumers: u16,
    kills_left: Option<u64>,
}

impl Plan {
    pub(super) fn new(seed: u64, consumers: u16, kills: Option<u64>) -> Self {
        Self { dice: Xoshiro256PlusPlus::seed_from_u64(seed), consumers, kills_left: kills }
    }

    fn fault(&mut self, other: Option<Victim>) -> Fault {
        let victim = loop {
            let victim = match self.dice.random_range(0..10) {
                0..3 => Victim::Producer,
                3..6 => Victim::Consumer(self.dice.random_range(1..=self.consumers)),
                6..8 => Victim::Nats,
                _ => Victim::Postgres,
            };
            if Some(victim) != other {
                break victim;
            }
        };
        let how = if self.dice.random_bool(STOPS) { How::Stop } else { How::Kill };
        let [least, most] = if how == How::Stop { STILL_MS } else { AWAY_MS };
        Fault { victim, how, down: Duration::from_millis(self.dice.random_range(least..=most)) }
    }
}

impl Iterator for Plan {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        if self.kills_left == Some(0) {
            return None;
        }
        let calm = Duration::from_millis(self.dice.random_range(0..=CALM_MS));
        let first = self.fault(None);
        let mut faults = vec![first];
        if self.dice.random_bool(PAIRS) {
            faults.push(self.fault(Some(first.victim)));
        }
        let is_patient = self.dice.random_bool(PATIENCE) && faults.len() == 1;
        if let Some(left) = &mut self.kills_left {
            faults.retain(|fault| {
                let is_allowed = fault.how == How::Stop || *left > 0;
                *left -= u64::from(is_allowed && fault.how == How::Kill);
                is_allowed
            });
        }
        Some(Round { calm, is_patient, faults })
    }
}

impl Round {
    pub(super) fn kills(&self) -> u64 {
        self.faults.iter().filter(|fault| fault.how == How::Kill).count() as u64
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.how == How::Kill { "kill" } else { "stop" };
        write!(f, "{what} {} for {} ms", self.victim, self.down.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(seed: u64) -> Vec<Round> {
        Plan::new(seed, 2, Some(200)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        assert_eq!(plan(1)[..20], Plan::new(1, 2, None).take(20).collect::<Vec<_>>()[..]);
        // It stays the same in later versions, so that a run can be repeated with another build.
        let rounds = plan(1);
        let faults: Vec<_> = rounds.iter().flat_map(|round| &round.faults).map(Fault::to_string).collect();
        let expected =
            ["stop nats-server for 1170 ms", "stop consumer c1 for 1397 ms", "kill producer for 301 ms"];
        assert_eq!(faults[..3], expected);
    }

    #[test]
    fn there_are_as_many_kills_as_were_asked_for_and_some_of_everything() {
        for seed in 0..20 {
            let rounds = plan(seed);
            assert_eq!(rounds.iter().map(Round::kills).sum::<u64>(), 200);
            let faults: Vec<_> = rounds.iter().flat_map(|round| &round.faults).collect();
            let kinds: BTreeSet<_> =
                faults.iter().map(|fault| (fault.victim, fault.how == How::Kill)).collect();
            assert!(kinds.len() >= 9, "both faults of nearly all five: {kinds:?}");
            let pairs: Vec<_> = rounds.iter().filter(|round| round.faults.len() == 2).collect();
            assert!(pairs.len() > 5);
            assert!(
                pairs.iter().all(|pair| !pair.is_patient && pair.faults[0].victim != pair.faults[1].victim)
            );
            assert!(rounds.iter().filter(|round| round.is_patient).count() > 50);
        }
    }
}
