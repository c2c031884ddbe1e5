//! A stage's sign of life: when it last turned, or that it rests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// In place of a time: the stage waits for others, however long that takes.
const RESTS: u64 = u64::MAX;

/// A stage says through it that it turns. Dropped, the stage has ended, and rests for good.
#[derive(Debug)]
pub struct Pulse(Arc<Turns>);

impl Pulse {
    pub(super) fn new(turns: Arc<Turns>) -> Self {
        Self(turns)
    }

    /// The stage has something to do, and does it.
    pub fn beat(&self) {
        let at = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(RESTS);
        self.0.last_ms.store(at, Ordering::Relaxed);
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

/// What a stage has said.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) stage: &'static str,
    limit: Duration,
    since: Instant,
    /// Milliseconds after `since`, or [`RESTS`].
    last_ms: AtomicU64,
}

impl Turns {
    pub(super) fn new(stage: &'static str, limit: Duration) -> Self {
        Self { stage, limit, since: Instant::now(), last_ms: AtomicU64::new(RESTS) }
    }

    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        match self.last_ms.load(Ordering::Relaxed) {
            RESTS => false,
            last_ms => now > self.since + Duration::from_millis(last_ms) + self.limit,
        }
    }
}
