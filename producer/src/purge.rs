//! Makes room in the stream: above the high-water mark, the oldest messages are purged that every durable has acknowledged.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use common::nats::Nats;
use common::stream::{DURABLE, Durable};
use common::{Outage, config, fault};
use futures::TryStreamExt;

/// How often the stream's size is checked.
const EVERY: Duration = Duration::from_secs(1);
/// A purge goes down to this share of the high-water mark, so that not every check purges.
const DOWN_TO: f64 = 0.75;

/// Purges until the task is dropped.
pub(crate) async fn run(nats: Nats, mut stream: Stream, config: config::Stream) {
    let outage = Outage::new("trimming the stream");
    loop {
        tokio::time::sleep(EVERY).await;
        fault::point("purge");
        match once(&mut stream, &config).await {
            Ok(purged) => {
                outage.succeeded();
                if purged > 0 {
                    tracing::debug!(purged, "purged messages that everyone has read");
                }
            }
            // A lost connection is logged elsewhere.
            Err(_) if !nats.is_connected() => {}
            Err(error) => outage.failed(&*error),
        }
    }
}

/// Purges once if needed. Returns how many messages were purged.
async fn once(
    stream: &mut Stream,
    config: &config::Stream,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let info = stream.info().await?;
    let state = info.state.clone();
    let high_water = info.config.max_bytes as f64 * config.high_water;
    if (state.bytes as f64) < high_water {
        return Ok(0);
    }
    let consumers: Vec<_> = stream.consumers().try_collect().await?;
    if !consumers.iter().any(|consumer| consumer.name == DURABLE) {
        return Ok(0);
    }
    let Some(floor) = consumers.iter().map(|consumer| Durable::from(consumer).floor).min() else {
        return Ok(0);
    };
    let share = 1.0 - high_water * DOWN_TO / state.bytes as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    let wanted = (state.messages as f64 * share) as u64;
    let up_to = (state.first_sequence + wanted).min(floor + 1);
    if up_to <= state.first_sequence {
        return Ok(0);
    }
    Ok(stream.purge().sequence(up_to).await?.purged)
}
