//! A stage's progress: since when it has work without any, or that it waits for others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// In place of a time: the stage has no work, or waits for another stage, however long that takes.
const RESTS: u64 = u64::MAX;

/// A stage reports through it. Dropped, the stage has ended, and rests for good.
#[derive(Debug)]
pub struct Pulse(Arc<Turns>);

impl Pulse {
    pub(super) fn new(turns: Arc<Turns>) -> Self {
        Self(turns)
    }

    /// The stage has made progress, and has more to do.
    pub fn beat(&self) {
        self.0.last_ms.store(self.0.now_ms(), Ordering::Relaxed);
    }

    /// The stage has something to do. Unlike [`Pulse::beat`] this is no progress: called again and again, it counts from
    /// the first time.
    pub fn work(&self) {
        let turns = &self.0;
        let _ = turns.last_ms.compare_exchange(RESTS, turns.now_ms(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The stage waits for something that is not its own: for work, or for room with the next stage.
    pub fn rest(&self) {
        self.0.last_ms.store(RESTS, Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.rest();
    }
}

/// What a stage has reported.
pub(super) struct Turns {
    pub(super) stage: &'static str,
    limit: Duration,
    /// Whether a service that it needs is away: a stage that waits for that is not stuck.
    is_excused: Box<dyn Fn() -> bool + Send + Sync>,
    since: Instant,
    /// Milliseconds after `since`, or [`RESTS`].
    last_ms: AtomicU64,
}

impl Turns {
    pub(super) fn new(
        stage: &'static str,
        limit: Duration,
        is_excused: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            stage,
            limit,
            is_excused: Box::new(is_excused),
            since: Instant::now(),
            last_ms: AtomicU64::new(RESTS),
        }
    }

    /// For how long the stage has had work without progress, where that is longer than it may be.
    pub(super) fn stuck_for(&self, now: Instant, limit: Option<Duration>) -> Option<Duration> {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        if last_ms == RESTS {
            return None;
        }
        if (self.is_excused)() {
            // It counts from the time at which the service is back.
            let _ =
                self.last_ms.compare_exchange(last_ms, self.now_ms(), Ordering::Relaxed, Ordering::Relaxed);
            return None;
        }
        let without = now.saturating_duration_since(self.since + Duration::from_millis(last_ms));
        (without > limit.unwrap_or(self.limit)).then_some(without)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(RESTS)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("stage", &self.stage).finish_non_exhaustive()
    }
}
