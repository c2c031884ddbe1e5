//! Pauses between attempts: longer each time up to a limit, and never the same in two writers.

use std::time::Duration;

use common::Shutdown;

use super::Error;
use crate::batch::BatchId;

const FIRST_MS: u64 = 50;
const LONGEST_MS: u64 = 5_000;

#[derive(Debug)]
pub(super) struct Backoff {
    pause_ms: u64,
    /// Told apart by the batch, so that replicas which failed together do not come back together.
    seed: u64,
}

impl Backoff {
    pub(super) fn of(batch: BatchId) -> Self {
        Self { pause_ms: FIRST_MS, seed: batch.0.unsigned_abs() }
    }

    /// Waits; an error when `shutdown` stops meanwhile.
    pub(super) async fn wait(&mut self, shutdown: &Shutdown) -> Result<(), Error> {
        let pause = self.next_pause();
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = shutdown.stopped() => Err(Error::Stopped),
        }
    }

    /// Between half of the pause and all of it.
    fn next_pause(&mut self) -> Duration {
        // Knuth's multiplicative hash: enough to spread, and the same in every run.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let jitter = (self.seed >> 33) % (self.pause_ms / 2);
        let pause = Duration::from_millis(self.pause_ms - jitter);
        self.pause_ms = (self.pause_ms * 2).min(LONGEST_MS);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_batches() {
        let pauses = |batch| {
            let mut backoff = Backoff::of(BatchId(batch));
            (0..12).map(|_| backoff.next_pause().as_millis()).collect::<Vec<_>>()
        };
        let one = pauses(1);
        assert!(one[0] <= 50 && one.iter().all(|&pause| pause <= 5_000) && one[11] > 2_500, "{one:?}");
        assert_ne!(one, pauses(2));
    }
}
