//! What is said while the broker refuses messages: one line when it lasts, one when it ends.

use std::time::{Duration, Instant};

use super::pub_ack::Why;

/// A full stream that has room again within this time is its ordinary way to hold back.
const SAID_AFTER: Duration = Duration::from_secs(1);

/// Since when it refuses, and whether that was told.
#[derive(Debug)]
pub(super) struct Refused {
    since: Instant,
    told: bool,
}

impl Default for Refused {
    fn default() -> Self {
        Self { since: Instant::now(), told: false }
    }
}

impl Refused {
    /// It refused once more.
    pub(super) fn log(&mut self, why: &Why) {
        if !self.told && self.since.elapsed() > SAID_AFTER {
            tracing::warn!(%why, "the stream takes no messages; waiting");
            self.told = true;
        }
    }

    /// It took a message.
    pub(super) fn ended(self) {
        if self.told {
            tracing::info!(waited_s = self.since.elapsed().as_secs(), "the stream takes messages again");
        }
    }
}
