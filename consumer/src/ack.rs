//! Acknowledges what has committed, off the writers' path.

use async_nats::Client;
use bytes::Bytes;
use common::fault;
use common::nats::Nats;
use common::stream::{DURABLE, STREAM};
use tokio::sync::mpsc;

use crate::write::Committed;

const ACK: Bytes = Bytes::from_static(b"+ACK");

/// Acknowledges until the writers have ended, and then waits until the broker has taken note.
pub(crate) async fn run(nats: Nats, mut committed: mpsc::Receiver<Committed>) {
    while let Some(committed) = committed.recv().await {
        acknowledge(&nats.client, committed).await;
        fault::point("after_ack");
    }
    // The broker reads a connection in order: once it answers, it has read what was sent before. An acknowledgement
    // that is lost is only a redelivery, so a broker that does not answer is no error.
    let barrier = format!("$JS.API.CONSUMER.INFO.{STREAM}.{DURABLE}");
    if let Err(error) = nats.client.request(barrier, Bytes::new()).await {
        tracing::info!(%error, "the last acknowledgements may be lost; what they were for will come again");
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
