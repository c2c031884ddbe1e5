//! Logs that the broker refuses messages: once while it lasts, and once when it ends.

use std::time::{Duration, Instant};

use super::pub_ack::Why;

/// A full stream that has room again within this time is normal backpressure.
const LOG_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Refused {
    since: Instant,
    is_logged: bool,
}

impl Default for Refused {
    fn default() -> Self {
        Self { since: Instant::now(), is_logged: false }
    }
}

impl Refused {
    /// To be called at each refusal.
    pub(super) fn log(&mut self, why: &Why) {
        if !self.is_logged && self.since.elapsed() > LOG_AFTER {
            tracing::warn!(%why, "the stream takes no messages; waiting");
            self.is_logged = true;
        }
    }

    /// To be called when a message is acknowledged.
    pub(super) fn ended(self) {
        if self.is_logged {
            tracing::info!(waited_s = self.since.elapsed().as_secs(), "the stream takes messages again");
        }
    }
}
