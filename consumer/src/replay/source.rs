//! The messages of a replay, in the stream's order: a selection enters, chunks of messages leave.
//!
//! They are read through a durable of the replay's own, whose floor keeps what is still to be read from being purged.
//! What was read is acknowledged up to a message, never beyond what is in the table.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::Message as Received;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use common::nats::Nats;
use common::stream::{self, Durable, Reader, StreamPosition};
use common::{Backoff, Classify as _, Clock, ErrorClass, Outage, Shutdown};

use super::Error;
use super::selection::Selection;
use crate::fetch::Message;

/// A replay that is not continued gives up its hold on the stream after this time.
const KEPT: Duration = Duration::from_hours(72);
/// The same for a dry run, which has no durable to continue with.
const KEPT_WITHOUT_NAME: Duration = Duration::from_secs(10);
/// The metadata key under which a durable keeps its selection.
const SELECTION: &str = "millrace.replay";

/// A durable's name.
pub(super) fn durable(name: &str) -> String {
    format!("replay-{name}")
}

/// The selection of a replay of this name that was cut before its end, and up to which sequence it came.
pub(super) async fn cut(stream: &Stream, name: &str) -> Result<Option<(Selection, u64)>, Error> {
    let Some(info) = stream::consumer_info(stream, &durable(name)).await? else { return Ok(None) };
    let selection = info.config.metadata.get(SELECTION).and_then(|json| serde_json::from_str(json).ok());
    let selection: Selection = selection.ok_or_else(|| Error::Foreign { durable: durable(name) })?;
    let start = match info.config.deliver_policy {
        DeliverPolicy::ByStartSequence { start_sequence } => start_sequence,
        _ => 1,
    };
    Ok(Some((selection, Durable::from(&info).floor.max(start.saturating_sub(1)))))
}

/// Reads the messages behind `read`, the last one whose rows are in the table.
pub(super) struct Source {
    nats: Nats,
    stream: Stream,
    clock: Clock,
    /// Whether it acknowledges what was read.
    is_named: bool,
    reader: Reader,
}

/// Messages that follow each other in the stream.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) messages: Vec<Message>,
    /// All up to this sequence was read.
    pub(super) up_to: u64,
    /// Where that is acknowledged.
    reply: Option<Subject>,
}

impl Source {
    /// Reads what `selection` selects of `stream` behind `read`. With a `name` it keeps what it has not read yet from
    /// being purged, and can be continued; without one it leaves no trace.
    pub(super) fn new(
        nats: Nats,
        stream: Stream,
        name: Option<&str>,
        selection: &Selection,
        read: u64,
        clock: Clock,
    ) -> Result<Self, Error> {
        let config = consumer_config(name, selection)?;
        let next = (read + 1).max(selection.first_sequence);
        let reader = Reader::new(stream.clone(), config, next, selection.last_sequence);
        Ok(Self { nats, stream, clock, is_named: name.is_some(), reader })
    }

    /// The next chunk; `None` at the end of the selection. Waits for a broker that is away.
    pub(super) async fn chunk(&mut self, shutdown: &Shutdown) -> Result<Option<Chunk>, Error> {
        let outage = Outage::new("the replay's subscription");
        let mut backoff = Backoff::of_broker();
        loop {
            match self.read().await {
                Ok(chunk) => {
                    outage.succeeded();
                    return Ok(chunk);
                }
                Err(error) if error.class() == ErrorClass::Transient => outage.failed(&error),
                Err(error) => return Err(error),
            }
            if !backoff.wait(shutdown.draining()).await {
                return Err(Error::Stopped);
            }
        }
    }

    /// Acknowledges `chunk`, which is in its table.
    pub(super) async fn done(&mut self, chunk: Chunk) {
        if let Some(reply) = chunk.reply.filter(|_| self.is_named)
            && self.nats.client.request(reply, Bytes::from_static(b"+ACK")).await.is_err()
        {
            // What is read again is recognised.
            self.reader.reopen();
        }
    }

    /// Gives up the hold on the stream: all of it is read.
    pub(super) async fn close(self) {
        if let Err(error) = self.reader.close().await {
            tracing::warn!(%error, "the replay's durable is left over; the broker removes it in three days");
        }
    }

    async fn read(&mut self) -> Result<Option<Chunk>, Error> {
        let Some(from) = self.reader.next() else { return Ok(None) };
        self.refuse_gap(from).await?;
        let Some(stream::Chunk { messages, up_to }) = self.reader.read().await.map_err(broken)? else {
            return Ok(None);
        };
        let reply = messages.last().and_then(|(_, message)| message.reply.clone());
        let created = stream::incarnation(self.stream.cached_info()).created;
        let message = |(sequence, message): (u64, Received)| Message {
            position: StreamPosition::new(created, sequence),
            reply: None,
            subject: message.message.subject,
            payload: message.message.payload,
            fetched_us: self.clock.micros(),
        };
        Ok(Some(Chunk { messages: messages.into_iter().map(message).collect(), up_to, reply }))
    }

    /// What was purged before it was read is lost to the replay, which must not look like success.
    async fn refuse_gap(&self, from: u64) -> Result<(), Error> {
        let first = self.stream.get_info().await.map_err(broken)?.state.first_sequence;
        if first > from { Err(Error::Gap { from, to: first - 1 }) } else { Ok(()) }
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::broker("read the stream", error)
}

fn consumer_config(name: Option<&str>, selection: &Selection) -> Result<pull::Config, Error> {
    let config = pull::Config {
        filter_subjects: selection.asked.subjects(),
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let Some(name) = name else {
        let inactive_threshold = KEPT_WITHOUT_NAME;
        return Ok(pull::Config { ack_policy: AckPolicy::None, inactive_threshold, ..config });
    };
    let json =
        serde_json::to_string(selection).map_err(|error| Error::broker("describe the replay", error))?;
    Ok(pull::Config {
        durable_name: Some(durable(name)),
        description: Some("replays events".to_owned()),
        ack_policy: AckPolicy::All,
        ack_wait: Duration::from_mins(10),
        inactive_threshold: KEPT,
        metadata: HashMap::from([(SELECTION.to_owned(), json)]),
        ..config
    })
}
