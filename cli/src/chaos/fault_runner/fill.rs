//! The consumers stand still and rows come fast, until the stream refuses messages.

use std::time::{Duration, Instant};

use anyhow::Context;
use common::nats;
use common::stream::STREAM;

use super::{FaultRunner, LOOK};

/// A stream that is full to this share refuses messages.
const FULL: f64 = 0.995;
/// After how long it ought to be full. Where it is not, what runs is slow, and goes on.
const FILLING: Duration = Duration::from_secs(30);
/// How long the broker may take to answer.
const ANSWER: Duration = Duration::from_secs(3);

impl FaultRunner<'_> {
    /// Waits until the stream is full, and counts that.
    pub(super) async fn fill(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FILLING;
        while !self.is_ending() && Instant::now() < deadline {
            // The broker may be away, or have no stream yet, after its store was removed.
            let asked = tokio::time::timeout(ANSWER, self.is_full()).await;
            if asked.is_ok_and(|full| full.unwrap_or(false)) {
                self.counts.filled += 1;
                return Ok(());
            }
            self.revive().await?;
            self.rest(LOOK * 10).await;
        }
        Ok(())
    }

    async fn is_full(&self) -> anyhow::Result<bool> {
        let nats = nats::connect(&self.config.nats, "millrace chaos", self.shutdown).await?;
        let stream = nats.jetstream.get_stream(STREAM).await.context("failed to look at the stream")?;
        let info = stream.cached_info();
        Ok(info.state.bytes as f64 >= info.config.max_bytes as f64 * FULL)
    }
}
