//! Whether a process is alive and whether it is ready. Stages report here; what leaves are answers over HTTP.
//!
//! *Alive* means that a restart would not help: each stage makes progress, or rests because there is nothing to do or no
//! room. A stage that has work and makes no progress for longer than its limit is stuck; [`Health::watch`] logs that.
//! *Ready* means that everything it needs is there: broker, database, schema. While a service is away a process is
//! not ready, and it stays alive: it goes on by itself when the service is back.

mod ask;
mod pulse;
mod serve;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use ask::{Ask, Error as AskError};
pub use pulse::Pulse;
use pulse::Turns;
pub use serve::{Error as ServeError, Serving, serve};
pub use watch::Watch;

/// Which process it is, and so on which port it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The producer.
    Producer,
    /// One consumer.
    Consumer,
}

impl Service {
    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// Its port where none is configured.
    pub fn port(self) -> u16 {
        match self {
            Self::Producer => 9090,
            Self::Consumer => 9091,
        }
    }
}

/// What the parts of a process report. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    stages: Mutex<Vec<Arc<Turns>>>,
    needs: Mutex<Vec<Requirement>>,
    /// In place of the stages' own limits.
    limit: Mutex<Option<Duration>>,
}

/// Something without which a process is not ready.
struct Requirement {
    what: &'static str,
    is_met: Box<dyn Fn() -> bool + Send + Sync>,
}

/// A need that its holder meets and loses.
#[derive(Clone, Debug)]
pub struct Need(Arc<AtomicBool>);

impl Health {
    /// A new stage, which rests until its first turn. Without progress for longer than `limit` it counts as stuck.
    pub fn pulse(&self, stage: &'static str, limit: Duration) -> Pulse {
        self.pulse_unless(stage, limit, || false)
    }

    /// As [`Health::pulse`], for a stage that waits for a service without being stuck while that `is_away`.
    pub fn pulse_unless(
        &self,
        stage: &'static str,
        limit: Duration,
        is_away: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Pulse {
        let turns = Arc::new(Turns::new(stage, limit, is_away));
        lock(&self.0.stages).push(Arc::clone(&turns));
        Pulse::new(turns)
    }

    /// A limit for all stages in place of their own; `None` leaves them theirs.
    pub fn limit(&self, limit: Option<Duration>) {
        *lock(&self.0.limit) = limit;
    }

    /// Logs each stage that gets stuck, once, and once when it goes on, until what it gives is dropped. It does so on a
    /// thread of its own: a stage that blocks its thread can hold up the timers of the runtime.
    pub fn watch(&self) -> Watch {
        Watch::start(self.clone())
    }

    /// The stages that are stuck at `now`, and for how long they have made no progress.
    fn stuck_for(&self, now: Instant) -> BTreeMap<&'static str, Duration> {
        let limit = *lock(&self.0.limit);
        let mut stuck = BTreeMap::new();
        for turns in lock(&self.0.stages).iter() {
            if let Some(without) = turns.stuck_for(now, limit) {
                // Writers share a name.
                let longest = stuck.entry(turns.stage).or_insert(without);
                *longest = without.max(*longest);
            }
        }
        stuck
    }

    /// Something to get ready for, not there yet.
    pub fn need(&self, what: &'static str) -> Need {
        let met = Arc::new(AtomicBool::new(false));
        let need = Need(Arc::clone(&met));
        self.require(what, move || met.load(Ordering::Relaxed));
        need
    }

    /// Something that can be looked up at each request.
    pub fn require(&self, what: &'static str, is_met: impl Fn() -> bool + Send + Sync + 'static) {
        lock(&self.0.needs).push(Requirement { what, is_met: Box::new(is_met) });
    }

    /// The stages that have work, and made no progress within their limit, at `now`. None: the process is alive.
    pub fn stuck(&self, now: Instant) -> Vec<&'static str> {
        self.stuck_for(now).into_keys().collect()
    }

    /// What is not there. Nothing: the process is ready.
    pub fn missing(&self) -> Vec<&'static str> {
        lock(&self.0.needs).iter().filter(|need| !(need.is_met)()).map(|need| need.what).collect()
    }
}

impl Need {
    pub fn set(&self, is_met: bool) {
        self.0.store(is_met, Ordering::Relaxed);
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requirement").field("what", &self.what).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
