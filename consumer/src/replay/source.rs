//! The messages of a replay, in the stream's order: a selection enters, chunks of messages leave.
//!
//! One reader reads through a durable of its own, whose floor keeps what is still to be read from being purged. What
//! was read is acknowledged up to a message, never beyond what is in the table. After any break the durable is made
//! again behind the last acknowledged message, so that the order holds and nothing is passed over.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use chrono::{DateTime, SubsecRound as _, Utc};
use common::nats::Nats;
use common::stream::StreamPosition;
use common::{Backoff, Clock, Outage, Shutdown, stream};
use futures::StreamExt as _;

use super::Error;
use super::selection::Selection;
use crate::fetch::{Message, Reply};

/// Messages a chunk, and a transaction.
const MESSAGES: usize = 2_000;
/// How long the next message of a chunk may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A replay that nobody goes on with gives up its hold on the stream after this time.
const KEPT: Duration = Duration::from_hours(72);
/// The key under which a durable keeps what it is for.
const SELECTION: &str = "millrace.replay";

/// A durable's name.
pub(super) fn durable(name: &str) -> String {
    format!("replay-{name}")
}

/// What a replay of this name is for that was cut before its end, and up to which sequence it came.
pub(super) async fn cut(stream: &Stream, name: &str) -> Result<Option<(Selection, u64)>, Error> {
    let info = match stream.consumer_info(durable(name)).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::broker("look for an earlier replay", error)),
    };
    let selection = info.config.metadata.get(SELECTION).and_then(|json| serde_json::from_str(json).ok());
    let selection: Selection = selection.ok_or_else(|| Error::Foreign { durable: durable(name) })?;
    let start = match info.config.deliver_policy {
        DeliverPolicy::ByStartSequence { start_sequence } => start_sequence,
        _ => 1,
    };
    Ok(Some((selection, info.ack_floor.stream_sequence.max(start.saturating_sub(1)))))
}

/// Reads the messages behind `read`, which is the last one that is done with.
pub(super) struct Source {
    nats: Nats,
    stream: Stream,
    stream_created: DateTime<Utc>,
    clock: Clock,
    name: Option<String>,
    selection: Selection,
    read: u64,
    reader: Option<Reader>,
    outage: Outage,
}

/// One life of the durable.
struct Reader {
    consumer: Consumer<pull::Config>,
    /// How many messages it has delivered; a leap in this count is a message that was lost on its way.
    delivered: u64,
}

/// Messages that follow each other in the stream.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) messages: Vec<Message>,
    /// All up to this sequence was read.
    pub(super) up_to: u64,
    /// Where to say so.
    reply: Option<Subject>,
}

impl Source {
    /// Reads what `selection` says of `stream` behind `read`. With a `name` it holds on to what it has not read yet,
    /// and can be gone on with; without one it leaves no trace.
    pub(super) fn new(
        nats: Nats,
        stream: Stream,
        name: Option<String>,
        selection: Selection,
        read: u64,
        clock: Clock,
    ) -> Self {
        let stream_created = stream::incarnation(stream.cached_info()).created.trunc_subsecs(6);
        let outage = Outage::new("the replay's subscription");
        Self { nats, stream, stream_created, clock, name, selection, read, reader: None, outage }
    }

    /// The next chunk; `None` at the end of the selection. A broker that is away is waited for.
    pub(super) async fn chunk(&mut self, shutdown: &Shutdown) -> Result<Option<Chunk>, Error> {
        let mut backoff = Backoff::new(self.read);
        loop {
            let error = match self.read().await {
                Ok(chunk) => {
                    self.outage.succeeded();
                    return Ok(chunk);
                }
                Err(error) => error,
            };
            if !matches!(error, Error::Broker { .. }) {
                return Err(error);
            }
            self.reader = None;
            self.outage.failed(&error);
            if !backoff.wait(shutdown.draining()).await {
                return Err(Error::Stopped);
            }
        }
    }

    /// Takes note that everything of `chunk` is in its table.
    pub(super) async fn done(&mut self, chunk: Chunk) {
        self.read = chunk.up_to;
        if let Some(reply) = chunk.reply.filter(|_| self.name.is_some())
            && self.nats.client.request(reply, Bytes::from_static(b"+ACK")).await.is_err()
        {
            // What is read again is recognised.
            self.reader = None;
        }
    }

    /// Gives up the hold on the stream: all of it is read.
    pub(super) async fn close(self) {
        let name = match (self.name.as_deref().map(durable), &self.reader) {
            (Some(durable), _) => durable,
            (None, Some(reader)) => reader.consumer.cached_info().name.clone(),
            (None, None) => return,
        };
        if let Err(error) = self.stream.delete_consumer(&name).await {
            tracing::warn!(%error, "the durable {name} is left over; the broker removes it in three days");
        }
    }

    async fn read(&mut self) -> Result<Option<Chunk>, Error> {
        if self.read >= self.selection.last_sequence {
            return Ok(None);
        }
        // An error leaves none: what it was given is not acknowledged, and the next one begins there.
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => open(&self.stream, self.name.as_deref(), &self.selection, self.read).await?,
        };
        self.refuse_gap().await?;
        let mut incoming = reader.consumer.fetch().max_messages(MESSAGES).messages().await.map_err(broken)?;
        let last = self.selection.last_sequence;
        let mut chunk = Chunk { messages: Vec::new(), up_to: self.read, reply: None };
        while let Some(message) = tokio::time::timeout(PATIENCE, incoming.next()).await.map_err(broken)? {
            let message = message.map_err(broken)?;
            let info = message.info().map_err(broken)?;
            let (sequence, number, pending) = (info.stream_sequence, info.consumer_sequence, info.pending);
            reader.delivered += 1;
            if number != reader.delivered {
                return Err(broken(OutOfOrder));
            }
            if sequence <= last {
                chunk.reply.clone_from(&message.reply);
                chunk.messages.push(self.message(message.message, sequence));
            }
            // When no more are pending, everything up to the end of the selection was seen.
            chunk.up_to = if pending == 0 { last } else { sequence.min(last) };
            if chunk.up_to == last {
                break;
            }
        }
        if chunk.messages.is_empty() && chunk.up_to < last {
            if reader.consumer.get_info().await.map_err(broken)?.num_pending > 0 {
                return Err(broken(Interrupted));
            }
            chunk.up_to = last;
        }
        self.reader = Some(reader);
        Ok(Some(chunk))
    }

    /// What was purged before it was read is lost to the replay, which must not look like success.
    async fn refuse_gap(&self) -> Result<(), Error> {
        let first = self.stream.get_info().await.map_err(broken)?.state.first_sequence;
        let from = (self.read + 1).max(self.selection.first_sequence);
        if first > from { Err(Error::Gap { from, to: first - 1 }) } else { Ok(()) }
    }

    fn message(&self, message: async_nats::Message, sequence: u64) -> Message {
        let position = StreamPosition { stream_created: self.stream_created, sequence };
        Message {
            position,
            reply: Reply(Subject::from_static("")),
            subject: message.subject,
            payload: message.payload,
            fetched_us: self.clock.micros(),
        }
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::broker("read the stream", error)
}

/// A message did not come, and the one behind it did.
#[derive(Debug, thiserror::Error)]
#[error("a message was lost on its way")]
struct OutOfOrder;

/// There is more, and it did not come.
#[derive(Debug, thiserror::Error)]
#[error("the broker broke off")]
struct Interrupted;

/// Makes the durable behind `read`; an earlier one of that name goes.
async fn open(
    stream: &Stream,
    name: Option<&str>,
    selection: &Selection,
    read: u64,
) -> Result<Reader, Error> {
    let start_sequence = (read + 1).max(selection.first_sequence);
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        filter_subjects: selection.asked.subjects(),
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let failed = |error: jetstream::stream::ConsumerError| Error::broker("make the replay's durable", error);
    let Some(name) = name else {
        let config = pull::Config { ack_policy: AckPolicy::None, inactive_threshold: 2 * PATIENCE, ..config };
        let consumer = stream.create_consumer(config).await.map_err(failed)?;
        return Ok(Reader { consumer, delivered: 0 });
    };
    let name = durable(name);
    let json =
        serde_json::to_string(selection).map_err(|error| Error::broker("describe the replay", error))?;
    let config = pull::Config {
        durable_name: Some(name.clone()),
        description: Some("replays events".to_owned()),
        ack_policy: AckPolicy::All,
        ack_wait: Duration::from_mins(10),
        inactive_threshold: KEPT,
        metadata: HashMap::from([(SELECTION.to_owned(), json)]),
        ..config
    };
    if stream.consumer_info(&name).await.is_ok() {
        stream.delete_consumer(&name).await.map_err(failed)?;
    }
    let consumer = stream.create_consumer(config).await.map_err(failed)?;
    Ok(Reader { consumer, delivered: 0 })
}
