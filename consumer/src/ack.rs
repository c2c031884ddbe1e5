//! Acknowledges messages whose rows have committed, in a task of its own so that writers do not wait.
//!
//! A message is acknowledged by its sequence. In a stream that was deleted and created again another message has that
//! sequence, so the stream's time of creation is compared first.

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

/// How long the time of creation is cached.
const FRESH: Duration = Duration::from_millis(250);

/// Acknowledges until the writers have ended, then waits until the broker has read all acknowledgements.
pub(crate) async fn run(nats: Nats, mut committed: mpsc::Receiver<Committed>, pulse: Pulse) {
    let mut created = Created::default();
    while let Some(committed) = committed.recv().await {
        pulse.beat();
        fault::hang("ack").await;
        let expected = committed.stream_created;
        // Where the broker does not answer, the messages are delivered again.
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
        tracing::info!(%error, "the last acknowledgements may be lost; their messages will be delivered again");
    }
}

/// When the stream was created, and when the broker was last asked for it.
#[derive(Default)]
struct Created(Option<(DateTime<Utc>, Instant)>);

impl Created {
    /// Whether the stream is the one that was created at this time.
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
            tracing::info!(%expected, %found, "stream was created again; messages of the one before are not acknowledged");
        }
        found == Some(expected)
    }
}

async fn acknowledge(client: &Client, committed: Committed) {
    for reply in committed.into_replies() {
        if let Err(error) = client.publish(reply.0, ACK).await {
            // The connection is closed for good: all messages that are left are delivered again.
            tracing::debug!(%error, "not acknowledged");
            return;
        }
    }
}
