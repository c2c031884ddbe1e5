//! Live counters and latencies of a running consumer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::health::Health;
use hdrhistogram::Histogram;

use crate::Counts;

/// Longer than this counts as this: an hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// Live counters and latencies; replicas in one process may share one.
#[derive(Debug)]
pub struct Progress {
    events: AtomicU64,
    duplicates: AtomicU64,
    corrupt: AtomicU64,
    redelivered: AtomicU64,
    batches: AtomicU64,
    timing: Mutex<Timing>,
    health: Health,
}

#[derive(Debug)]
struct Timing {
    /// From written to its file to committed, in microseconds, since the start.
    all: Histogram<u64>,
    /// The same since it was last taken.
    recent: Histogram<u64>,
    first_and_last_commit: Option<(Instant, Instant)>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    pub fn new() -> Self {
        Self {
            events: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            corrupt: AtomicU64::new(0),
            redelivered: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            timing: Mutex::new(Timing { all: histogram(), recent: histogram(), first_and_last_commit: None }),
            health: Health::default(),
        }
    }

    /// Whether its stages make progress, and whether the services that it needs are there.
    pub fn health(&self) -> &Health {
        &self.health
    }

    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Rows that went to `duplicates`.
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Relaxed)
    }

    /// Rows that went to `corrupt_records`.
    pub fn corrupt(&self) -> u64 {
        self.corrupt.load(Relaxed)
    }

    /// Rows that were in a table already.
    pub fn redelivered(&self) -> u64 {
        self.redelivered.load(Relaxed)
    }

    /// Committed transactions.
    pub fn batches(&self) -> u64 {
        self.batches.load(Relaxed)
    }

    /// All counters at once.
    pub fn counts(&self) -> Counts {
        Counts {
            events: self.events(),
            duplicates: self.duplicates(),
            corrupt: self.corrupt(),
            redelivered: self.redelivered(),
            batches: self.batches(),
        }
    }

    /// From written to its file to queryable, in milliseconds, since the start: half of the rows took no longer
    /// than the first figure, 99 of 100 no longer than the second. 0 before the first commit.
    pub fn latency(&self) -> (f64, f64) {
        quantiles(&self.timing().all)
    }

    /// As [`Progress::latency`], since this was last asked; `None` when nothing was committed since.
    pub fn take_recent(&self) -> Option<(f64, f64)> {
        let mut timing = self.timing();
        let recent = (!timing.recent.is_empty()).then(|| quantiles(&timing.recent));
        timing.recent.reset();
        recent
    }

    /// When the first and the last transaction committed.
    pub fn first_and_last_commit(&self) -> Option<(Instant, Instant)> {
        self.timing().first_and_last_commit
    }

    /// From the first commit to the last; 0 before the second.
    pub fn span(&self) -> Duration {
        self.first_and_last_commit().map_or(Duration::ZERO, |(first, last)| last - first)
    }

    /// Counts a transaction; `latencies_us` of its rows, from written to committed.
    pub(crate) fn committed(&self, counts: Counts, latencies_us: impl Iterator<Item = u64>) {
        self.events.fetch_add(counts.events, Relaxed);
        self.duplicates.fetch_add(counts.duplicates, Relaxed);
        self.corrupt.fetch_add(counts.corrupt, Relaxed);
        self.redelivered.fetch_add(counts.redelivered, Relaxed);
        self.batches.fetch_add(counts.batches, Relaxed);
        let now = Instant::now();
        let mut timing = self.timing();
        let first = timing.first_and_last_commit.map_or(now, |(first, _)| first);
        timing.first_and_last_commit = Some((first, now));
        for latency in latencies_us {
            timing.all.saturating_record(latency);
            timing.recent.saturating_record(latency);
        }
    }

    /// A panic while it was held has at worst left a row uncounted.
    fn timing(&self) -> MutexGuard<'_, Timing> {
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::expect_used, reason = "bounds and precision are constants that the type accepts")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 2).expect("valid bounds")
}

fn quantiles(histogram: &Histogram<u64>) -> (f64, f64) {
    let milliseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    (milliseconds(0.5), milliseconds(0.99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_latency_begins_anew_each_time_it_is_taken() {
        let progress = Progress::new();
        assert_eq!(progress.take_recent(), None);
        progress.committed(Counts { events: 2, batches: 1, ..Counts::default() }, [1_000, 9_000].into_iter());
        let (p50, p99) = progress.take_recent().unwrap();
        assert!((0.9..1.1).contains(&p50) && (8.9..9.1).contains(&p99), "{p50} {p99}");
        assert_eq!(progress.take_recent(), None);
        assert!(progress.latency().1 > 8.9);
        assert_eq!(progress.counts().events, 2);
    }
}
