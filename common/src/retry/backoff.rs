//! Pauses between attempts: longer each time up to a limit, with jitter.

use std::time::Duration;

const FIRST_MS: u64 = 50;
const LONGEST_MS: u64 = 5_000;
/// A broker is asked more often: a connection that is there costs it little.
const LONGEST_OF_BROKER_MS: u64 = 2_000;

/// From 50 ms up to 5 s, or to 2 s for the broker.
#[derive(Debug)]
pub struct Backoff {
    pause_ms: u64,
    longest_ms: u64,
    seed: u64,
}

impl Backoff {
    /// Each `seed` makes other pauses, so that processes that failed together do not reconnect together.
    pub fn new(seed: u64) -> Self {
        Self { pause_ms: FIRST_MS, longest_ms: LONGEST_MS, seed }
    }

    pub fn of_broker() -> Self {
        Self { longest_ms: LONGEST_OF_BROKER_MS, ..Self::new(std::process::id().into()) }
    }

    /// Waits; `false` when `end` comes before the pause is over.
    pub async fn wait(&mut self, end: impl Future<Output = ()>) -> bool {
        let pause = self.next_pause();
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = end => false,
        }
    }

    /// Between half of the pause and all of it.
    fn next_pause(&mut self) -> Duration {
        // Knuth's multiplicative hash: enough to spread, and the same in every run.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let jitter = (self.seed >> 33) % (self.pause_ms / 2);
        let pause = Duration::from_millis(self.pause_ms - jitter);
        self.pause_ms = (self.pause_ms * 2).min(self.longest_ms);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_seeds() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..12).map(|_| backoff.next_pause().as_millis()).collect::<Vec<_>>()
        };
        let one = pauses(1);
        assert!(one[0] <= 50 && one.iter().all(|&pause| pause <= 5_000) && one[11] > 2_500, "{one:?}");
        assert_ne!(one, pauses(2));
    }
}
