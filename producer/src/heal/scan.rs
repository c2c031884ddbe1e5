//! Reads the stream through. What consumers were given and the database lacks is published again, byte for byte.
//!
//! A durable of its own holds back whoever purges meanwhile. It acknowledges by itself, which is cheap: a message that
//! is lost on its way shows in the durable's numbers, and reading begins again behind the last one that came.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::Stream;
use common::origin::Row;
use common::stream::{self, HEAL};
use common::{FileId, Origin};
use futures::TryStreamExt;
use serde::Deserialize;

use super::missing_rows::MissingRows;
use super::{Before, Error, Progress, Sink};
use crate::map::Mapped;

/// Messages of one request.
const MESSAGES: u64 = 500;
/// How long one request may take.
const EXPIRES: Duration = Duration::from_secs(5);
/// How often in a row reading may fail, and the pause before it is tried again.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// A durable that nobody asks for so long goes away by itself: a killed healing must not hold back purging for ever,
/// nor may one that waits for room. What is purged then comes from the files.
const INACTIVE: Duration = Duration::from_secs(30);

/// What is wrong with one request.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Sends what is missing, in the order of the stream, and takes note of what comes by itself.
pub(super) async fn republish(
    before: &Before,
    missing_rows: &mut MissingRows,
    sink: &Sink,
    progress: &Progress,
) -> Result<(), Error> {
    let mut scan = Scan::begin(before).await?;
    progress.expect((scan.last + 1).saturating_sub(scan.next));
    while let Some(messages) = scan.read_on().await? {
        let read = messages.len();
        let missing: Vec<Mapped> = messages
            .into_iter()
            .filter(|(sequence, message)| is_missing(message, *sequence <= before.delivered, missing_rows))
            .map(|(_, message)| again(message))
            .collect();
        progress.note(read, missing.len());
        sink.send(missing).await?;
    }
    // What follows needs room in the stream, and nothing more of it.
    remove_durable(&before.events).await;
    Ok(())
}

/// Takes away what this healing, or one that was killed, has left.
pub(super) async fn remove_durable(events: &Stream) {
    if let Err(error) = events.delete_consumer(HEAL).await {
        tracing::debug!(%error, "there was no durable {HEAL} to take away");
    }
}

/// An account, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Told {
    file_id: FileId,
    revision: i64,
    rows_read: Row,
}

/// Whether the database lacks what the message brings. One that was not `delivered` comes by itself; one that does not
/// say where it comes from belongs to no file.
fn is_missing(message: &Message, delivered: bool, missing_rows: &mut MissingRows) -> bool {
    if message.subject.as_str() == stream::FILE {
        return match serde_json::from_slice(&message.payload) {
            Ok(Told { file_id, revision, rows_read }) if delivered => {
                missing_rows.lacks_account(file_id, revision, rows_read)
            }
            Ok(Told { file_id, revision, rows_read }) => {
                missing_rows.announced(file_id, revision, rows_read);
                false
            }
            Err(_) => false,
        };
    }
    match serde_json::from_slice::<Origin>(&message.payload) {
        Ok(origin) if delivered => missing_rows.take_from_stream(origin),
        Ok(origin) => {
            missing_rows.comes(origin);
            false
        }
        Err(_) => false,
    }
}

fn again(message: Message) -> Mapped {
    let message = message.message;
    Mapped { subject: message.subject, payload: message.payload, rejected: None }
}

/// How far the stream was read.
struct Scan<'a> {
    before: &'a Before,
    next: u64,
    last: u64,
    durable: Option<Durable>,
}

/// The durable, and what its numbers say.
struct Durable {
    consumer: PullConsumer,
    /// Messages that it gave, by its own count.
    given: u64,
    /// Messages that it can still give.
    pending: u64,
}

impl<'a> Scan<'a> {
    async fn begin(before: &'a Before) -> Result<Self, Error> {
        let info = before.events.get_info().await.map_err(|error| Error::Look(error.into()))?;
        let now = stream::incarnation(&info);
        if now.created != before.stream.created {
            return Err(Error::Lost);
        }
        Ok(Self { before, next: now.first_sequence.max(1), last: now.last_sequence, durable: None })
    }

    /// The next messages with their sequences, at least one; `None` behind the last.
    async fn read_on(&mut self) -> Result<Option<Vec<(u64, Message)>>, Error> {
        let mut tries = 0;
        while self.next <= self.last {
            let fault = match self.fetch().await {
                Ok(messages) if messages.is_empty() => continue,
                Ok(messages) => return Ok(Some(messages)),
                Err(fault) => fault,
            };
            tries += 1;
            if tries == TRIES {
                return Err(Error::Read { sequence: self.next, source: fault });
            }
            tracing::debug!(fault, sequence = self.next, "reading the stream again");
            self.durable = None;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    async fn fetch(&mut self) -> Result<Vec<(u64, Message)>, Fault> {
        let durable = match &mut self.durable {
            Some(durable) => durable,
            none => none.insert(open(&self.before.events, self.next).await?),
        };
        let wanted = durable.pending.min(MESSAGES);
        if wanted == 0 {
            self.next = self.last + 1;
            return Ok(Vec::new());
        }
        let request = durable.consumer.fetch().max_messages(usize::try_from(wanted)?).expires(EXPIRES);
        let batch = request.messages().await?;
        let mut messages = Vec::new();
        let next = self.next;
        let ended = self.take(batch, &mut messages).await;
        match ended {
            Err(fault) if self.next == next => return Err(fault),
            // What came stands; the rest is asked for again.
            Err(_) => self.durable = None,
            Ok(()) => {}
        }
        Ok(messages)
    }

    async fn take(
        &mut self,
        mut batch: pull::Batch,
        messages: &mut Vec<(u64, Message)>,
    ) -> Result<(), Fault> {
        let Some(durable) = &mut self.durable else { return Ok(()) };
        let before = durable.given;
        while let Some(message) = batch.try_next().await? {
            let info = message.info()?;
            if info.consumer_sequence != durable.given + 1 {
                return Err("a message was lost on its way".into());
            }
            (durable.given, durable.pending) = (info.consumer_sequence, info.pending);
            let sequence = info.stream_sequence;
            self.next = sequence + 1;
            if sequence <= self.last {
                messages.push((sequence, message));
            }
        }
        if durable.given == before { Err("no message came".into()) } else { Ok(()) }
    }
}

/// Makes the durable anew, to begin with message `next`.
async fn open(events: &Stream, next: u64) -> Result<Durable, Fault> {
    remove_durable(events).await;
    let config = pull::Config {
        durable_name: Some(HEAL.to_owned()),
        description: Some("looks for rows that the database lacks".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        ..pull::Config::default()
    };
    let consumer = events.create_consumer(config).await?;
    let pending = consumer.cached_info().num_pending;
    Ok(Durable { consumer, given: 0, pending })
}
