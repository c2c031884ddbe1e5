//! Acknowledges what has committed, off the writers' path.
//!
//! A message is acknowledged by its place in the stream. In a stream that was deleted and made again another message
//! has that place, so the stream's time of creation is compared first.

use std::time::{Duration, Instant};

use async_nats::Client;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::fault;
use common::health::Pulse;
use common::nats::Nats;
use common::stream::{self, DURABLE, STREAM, StreamPosition};
use tokio::sync::mpsc;

use crate::write::Committed;

const ACK: Bytes = Bytes::from_static(b"+ACK");

/// For how long an answer about the stream counts.
const FRESH: Duration = Duration::from_millis(250);

/// Acknowledges until the writers have ended, and then waits until the broker has taken note.
pub(crate) async fn run(nats: Nats, mut committed: mpsc::Receiver<Committed>, pulse: Pulse) {
    let mut created = Created::default();
    while let Some(committed) = committed.recv().await {
        pulse.beat();
        fault::hang("ack").await;
        let expected = committed.stream_created;
        // Where the broker does not answer they only come again.
        if created.is(expected, &nats).await {
            acknowledge(&nats.client, committed).await;
        }
        fault::point("after_ack");
        pulse.rest();
    }
    // The broker reads a connection in order: once it answers, it has read what was sent before. An acknowledgement
    // that is lost is only a redelivery, so a broker that does not answer is no error.
    let barrier = format!("$JS.API.CONSUMER.INFO.{STREAM}.{DURABLE}");
    if let Err(error) = nats.client.request(barrier, Bytes::new()).await {
        tracing::info!(%error, "the last acknowledgements may be lost; what they were for will come again");
    }
}

/// When the stream was made, as it was last asked for.
#[derive(Default)]
struct Created(Option<(DateTime<Utc>, Instant)>);

impl Created {
    /// Whether the stream is the one that was made then.
    async fn is(&mut self, expected: DateTime<Utc>, nats: &Nats) -> bool {
        let is_fresh =
            |(created, asked): (DateTime<Utc>, Instant)| created == expected && asked.elapsed() < FRESH;
        if self.0.is_some_and(is_fresh) && nats.is_connected() {
            return true;
        }
        let asked = Instant::now();
        let found = nats.jetstream.get_stream(STREAM).await.ok().map(|found| {
            let created = stream::incarnation(found.cached_info()).created;
            StreamPosition::new(created, 0).stream_created
        });
        self.0 = found.map(|created| (created, asked));
        if let Some(found) = found.filter(|found| *found != expected) {
            tracing::info!(%expected, %found, "stream was made again; messages of the one before are not acknowledged");
        }
        found == Some(expected)
    }
}

async fn acknowledge(client: &Client, committed: Committed) {
    for reply in committed.into_replies() {
        if let Err(error) = client.publish(reply.0, ACK).await {
            // The connection is closed for good: every message that is left will come again.
            tracing::debug!(%error, "not acknowledged");
            return;
        }
    }
}
