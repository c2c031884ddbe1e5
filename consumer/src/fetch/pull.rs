//! Pull requests, overlapping so that messages never pause, on an inbox of our own.
//!
//! async-nats has a stream that does this; it cannot be drained: each message that is read from it may make it ask
//! for more, and what is on its way when it is dropped comes again only after the durable's `ack_wait`.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber};
use common::fault;
use common::health::Pulse;
use common::nats::Nats;
use common::stream::{self, DURABLE, Durable, STREAM};
use futures::{FutureExt, StreamExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::stall::Stall;

/// Messages a request. Larger ones were measured to gain nothing.
const MESSAGES: usize = 1_000;
/// Bytes a request, unless the broker takes larger messages than that.
const BYTES: usize = 2 << 20;
/// What the broker counts of a message beside its payload: its subject and the subject to acknowledge it at, each at
/// most a line of the protocol, of 4 KiB.
const SUBJECTS: usize = 16 << 10;
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// When no message has come for so long, the state of the durable is read.
const IDLE: Duration = Duration::from_secs(2);
/// When nothing has come for so long, nothing is on its way.
const QUIET: Duration = Duration::from_millis(100);

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No JetStream, or no such durable.
    #[error("there is no answer for the durable consumer {DURABLE}")]
    NobodyAnswers,
    /// Neither messages nor heartbeats.
    #[error("neither messages nor heartbeats came for {} s", (2 * HEARTBEAT).as_secs())]
    Silence,
    /// A request was lost on its way.
    #[error("{pending} messages wait, and the broker has no request for them")]
    Stalled { pending: u64 },
    #[error("the broker ended the subscription: {0}")]
    Ended(String),
    /// The connection is closed for good.
    #[error("the connection to the broker is closed")]
    Closed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What comes from the broker.
#[derive(Debug)]
pub(super) enum Pulled {
    /// The next message.
    Message(Message),
    /// The connection is a new one, perhaps to a broker that has lost stream or durable. Nothing is requested on it yet.
    Reconnected,
}

#[derive(Debug)]
pub(super) struct Pull {
    client: Client,
    stream: Stream<()>,
    inbox: Subscriber,
    subject: String,
    reply_to: String,
    /// Messages that were asked for and have not come.
    outstanding: usize,
    /// Bytes that the only request may still bring; `None` where requests overlap. The broker sends no status when
    /// a message fits exactly what is left, and none of the messages that are still outstanding (nats-server,
    /// `server/consumer.go`, `nextWaiting`).
    bytes_left: Option<usize>,
    connected: watch::Receiver<u64>,
}

impl Pull {
    pub(super) async fn start(nats: &Nats) -> Result<Self, Error> {
        let client = nats.client.clone();
        let reply_to = client.new_inbox();
        let inbox = client.subscribe(reply_to.clone()).await.map_err(|error| Error::Closed(error.into()))?;
        let stream = nats.jetstream.get_stream_no_info(STREAM).await;
        let stream = stream.map_err(|error| Error::Closed(error.into()))?;
        let mut connected = nats.connected.clone();
        connected.mark_unchanged();
        Ok(Self {
            client,
            stream,
            inbox,
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{DURABLE}"),
            reply_to,
            outstanding: 0,
            bytes_left: None,
            connected,
        })
    }

    /// The next message. `pulse` has work from now on, and beats when the durable has nothing to deliver. May be dropped
    /// while it waits: nothing is lost.
    pub(super) async fn next(&mut self, pulse: &Pulse) -> Result<Pulled, Error> {
        let mut stall = Stall::default();
        let mut silent_at = None;
        pulse.work();
        fault::hang("fetch").await;
        loop {
            // What was delivered on the connection of before is read first, and nothing asked for on the new one.
            if self.outstanding <= MESSAGES / 2 && !self.connected.has_changed().unwrap_or(false) {
                self.ask().await?;
            }
            // A timer only where there is something to wait for.
            let message = if let Some(message) = self.inbox.next().now_or_never() {
                message
            } else {
                let silent_at = *silent_at.get_or_insert_with(|| Instant::now() + 2 * HEARTBEAT);
                tokio::select! {
                    biased;
                    message = self.inbox.next() => message,
                    // The broker forgets requests together with the connection on which they came.
                    Ok(()) = self.connected.changed() => {
                        self.outstanding = 0;
                        return Ok(Pulled::Reconnected);
                    }
                    () = tokio::time::sleep_until(silent_at) => return Err(Error::Silence),
                    Some(durable) = durable_after(IDLE, &self.stream) => {
                        // Messages that wait while none comes are no progress, whatever else the broker sends.
                        if durable.pending == 0 || durable.is_full {
                            pulse.beat();
                        }
                        if stall.is_certain(durable) {
                            return Err(Error::Stalled { pending: durable.pending });
                        }
                        continue;
                    }
                }
            };
            let message = message.ok_or_else(|| Error::Ended("its inbox is closed".to_owned()))?;
            silent_at = None;
            if self.is_data(&message)? {
                return Ok(Pulled::Message(message));
            }
        }
    }

    /// The next message of those that were asked for already; `None` when no more of them are on their way.
    pub(super) async fn next_asked(&mut self) -> Option<Message> {
        // While there is a backlog the broker fills every request, so the end is exact; where there is none, a
        // request would wait for messages that are yet to be published.
        while self.outstanding > 0 {
            let message = tokio::time::timeout(QUIET, self.inbox.next()).await.ok().flatten()?;
            match self.is_data(&message) {
                Ok(true) => return Some(message),
                Ok(false) => {}
                Err(_) => return None,
            }
        }
        None
    }

    async fn ask(&mut self) -> Result<(), Error> {
        // A server that comes back may take larger messages than before. One that does not fit a request would hold
        // back all messages behind it.
        let largest = self.client.server_info().max_payload.saturating_add(SUBJECTS);
        let bytes = BYTES.max(largest);
        let request = json!({
            "batch": MESSAGES,
            "max_bytes": bytes,
            "expires": EXPIRES.as_nanos(),
            "idle_heartbeat": HEARTBEAT.as_nanos(),
        });
        self.client
            .publish_with_reply(self.subject.clone(), self.reply_to.clone(), request.to_string().into())
            .await
            .map_err(|error| Error::Closed(error.into()))?;
        self.bytes_left = (self.outstanding == 0).then_some(bytes);
        self.outstanding += MESSAGES;
        Ok(())
    }

    /// Whether it is a message of the stream, and not the status of a request.
    fn is_data(&mut self, message: &Message) -> Result<bool, Error> {
        let description = || message.description.clone().unwrap_or_default();
        match message.status {
            None | Some(StatusCode::OK) => {
                self.outstanding = self.outstanding.saturating_sub(1);
                self.bytes_left = self.bytes_left.map(|bytes| bytes.saturating_sub(message.length));
                if self.bytes_left == Some(0) {
                    self.outstanding = 0;
                }
                Ok(true)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(false),
            Some(StatusCode::NO_RESPONDERS) => Err(Error::NobodyAnswers),
            Some(StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED) => {
                let status = description();
                if status == "Consumer Deleted"
                    || status.starts_with("Consumer is push")
                    || status.starts_with("Exceeded")
                {
                    return Err(Error::Ended(status));
                }
                let unfilled = message.headers.as_ref().and_then(unfilled).unwrap_or(self.outstanding);
                self.outstanding = self.outstanding.saturating_sub(unfilled);
                Ok(false)
            }
            Some(_) => Err(Error::Ended(description())),
        }
    }
}

/// The state of the durable after a while; `None` where the broker does not answer, which the missing heartbeats show,
/// too.
async fn durable_after(a_while: Duration, stream: &Stream<()>) -> Option<Durable> {
    tokio::time::sleep(a_while).await;
    stream::durable(stream).await.ok().flatten()
}

/// How many messages of a request will not come any more.
fn unfilled(headers: &HeaderMap) -> Option<usize> {
    headers.get("Nats-Pending-Messages")?.as_str().parse().ok()
}
