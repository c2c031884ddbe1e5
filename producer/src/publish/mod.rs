//! Sends messages to the stream and sees to it that each is acknowledged. Chunks enter, acknowledged positions leave.
//!
//! A window of messages is on its way at a time. Their acknowledgements come to one inbox of this publisher, each with
//! the number of its message. One that does not come is "unknown": the message is sent again, under the same number.
//! No message id is sent: the database recognises a row that came twice by its origin.

mod in_flight;
mod pub_ack;
mod reconnect;
mod refused;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::{Message, PublishErrorKind, Subject, Subscriber};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::config::Config;
use common::health::Pulse;
use common::nats::Nats;
use common::stream::{self, Incarnation};
use common::{Outage, Shutdown, fault};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use crate::checkpoint::{self, Checkpoint, Store, StreamPosition};
use crate::file::identity::hash;
use crate::map::Mapped;
use crate::progress::Progress;
use crate::tail::Chunk;
use crate::tailer_message::TailerMessage;
use in_flight::InFlight;
use pub_ack::{Answer, Why};
use refused::Refused;

/// For how long messages may be in flight while the broker answers to none of them.
const WITHOUT_ANSWER: Duration = Duration::from_mins(2);

/// How often the stream is checked while nothing is in flight.
const LOOK: Duration = Duration::from_secs(1);

/// Why publishing ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to subscribe to the inbox for acknowledgements")]
    Subscribe(#[source] async_nats::SubscribeError),
    /// The stream is not one that can be published to.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    #[error("the connection to nats-server is closed")]
    Closed,
    /// Asked to stop at once while messages were on their way.
    #[error("stopped with {0} messages that were not acknowledged; they are sent again at the next start")]
    Stopped(usize),
}

pub(crate) struct Publisher {
    nats: Nats,
    config: Config,
    /// Where positions go; none where no file is read on.
    store: Option<Arc<Store>>,
    progress: Arc<Progress>,
    wakes: mpsc::Sender<TailerMessage>,
    pulse: Pulse,
    /// `prefix.` before a message's number.
    inbox: String,
    acks: Subscriber,
    in_flight: InFlight,
    /// What is to be sent next, in order.
    backlog: VecDeque<Item>,
    created: DateTime<Utc>,
    /// The largest sequence that was acknowledged, or was there before, and its message where it is one of ours.
    last: (u64, Option<Bytes>),
    generation: u64,
    /// Whether the stream may be another one, until it is checked: after a reconnect, when no stream has the subjects, and
    /// when its sequences go back.
    is_in_doubt: bool,
    /// When the stream was last checked while nothing was in flight.
    looked: Instant,
    /// While the stream cannot be checked.
    outage: Outage,
    /// What was logged about the messages in flight that the stream refused. Only `in_flight` says whether there are any.
    refused: Option<Refused>,
}

/// One step of a chunk.
enum Item {
    Send(Mapped),
    Checkpoint(Box<Checkpoint>),
}

impl Publisher {
    pub(crate) async fn new(
        nats: Nats,
        config: Config,
        store: impl Into<Option<Arc<Store>>>,
        progress: Arc<Progress>,
        wakes: mpsc::Sender<TailerMessage>,
        stream: Incarnation,
    ) -> Result<Self, Error> {
        let prefix = nats.client.new_inbox();
        let connection = nats.clone();
        let is_away = move || !connection.is_connected();
        let acks = nats.client.subscribe(format!("{prefix}.*")).await.map_err(Error::Subscribe)?;
        Ok(Self {
            in_flight: InFlight::new(config.publish.window),
            inbox: format!("{prefix}."),
            nats,
            config,
            store: store.into(),
            pulse: progress.health().pulse_unless("publish", WITHOUT_ANSWER, is_away),
            progress,
            wakes,
            acks,
            backlog: VecDeque::new(),
            created: stream.created,
            last: (stream.last_sequence, None),
            generation: 0,
            is_in_doubt: false,
            looked: Instant::now(),
            outage: Outage::new("the stream"),
            refused: None,
        })
    }

    /// Publishes until `chunks` ends and everything is acknowledged, or `shutdown` stops.
    pub(crate) async fn run(
        mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        // Whatever it waits for: the client takes only so many messages while the server is away.
        let ended = tokio::select! {
            biased;
            () = shutdown.stopped() => None,
            ended = self.publish(&mut chunks) => Some(ended),
        };
        let unsent = self.backlog.iter().filter(|item| matches!(item, Item::Send(_))).count();
        ended.unwrap_or_else(|| match self.in_flight.len() + unsent {
            0 => Ok(()),
            left => Err(Error::Stopped(left)),
        })
    }

    /// Publishes until `chunks` ends and everything is acknowledged.
    async fn publish(&mut self, chunks: &mut mpsc::Receiver<Chunk>) -> Result<(), Error> {
        let mut connected = self.nats.connected.clone();
        connected.mark_unchanged();
        let mut tick = tokio::time::interval(self.config.publish.ack_timeout / 8);
        let mut more = true;
        while more || !self.backlog.is_empty() || !self.in_flight.is_empty() {
            // Only an answer is progress: sending again and again is not.
            if self.backlog.is_empty() && self.in_flight.is_empty() {
                self.pulse.rest();
            } else {
                self.pulse.work();
            }
            self.send_backlog().await?;
            tokio::select! {
                biased;
                Ok(()) = connected.changed() => {
                    self.is_in_doubt = true;
                    self.look_again(chunks).await?;
                }
                ack = self.acks.next() => self.acknowledge(&ack.ok_or(Error::Closed)?),
                _ = tick.tick() => {
                    if self.is_in_doubt {
                        self.look_again(chunks).await?;
                    }
                    self.send_late().await?;
                    self.look_at_rest().await;
                }
                chunk = chunks.recv(), if more && self.backlog.is_empty() => match chunk {
                    Some(chunk) => self.take(chunk),
                    None => more = false,
                },
            }
            while let Some(Some(ack)) = self.acks.next().now_or_never() {
                self.acknowledge(&ack);
            }
        }
        Ok(())
    }

    fn take(&mut self, chunk: Chunk) {
        if chunk.generation == self.generation {
            self.backlog.extend(chunk.messages.into_iter().map(Item::Send));
            self.backlog.extend(chunk.marks.into_iter().map(Box::new).map(Item::Checkpoint));
        }
    }

    async fn send_backlog(&mut self) -> Result<(), Error> {
        while self.in_flight.has_room() && !self.in_flight.has_refused() {
            match self.backlog.pop_front() {
                Some(Item::Send(message)) => {
                    let number = self.in_flight.push(message.subject.clone(), message.payload.clone());
                    self.send(number, message.subject, message.payload).await?;
                }
                Some(Item::Checkpoint(checkpoint)) => {
                    self.in_flight.push_mark(*checkpoint);
                    self.advance();
                }
                None => break,
            }
        }
        Ok(())
    }

    async fn send(&mut self, number: u64, subject: Subject, payload: Bytes) -> Result<(), Error> {
        let is_account = *subject == *stream::FILE;
        let mut reply = String::with_capacity(self.inbox.len() + 20);
        reply.push_str(&self.inbox);
        reply.push_str(&number.to_string());
        self.pulse.work();
        fault::hang("publish").await;
        // While the server is away the client takes only so many messages.
        match self.nats.client.publish_with_reply(subject, reply, payload).await {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::Send => return Err(Error::Closed),
            // The server came back with a lower limit, which a person has to raise, or to live with at the next start.
            Err(error) => {
                self.refuse(number, &Why::Other(error.to_string()));
            }
        }
        fault::point("after_publish");
        if is_account {
            fault::point("after_account");
        }
        Ok(())
    }

    fn acknowledge(&mut self, message: &Message) {
        let number = message.subject.strip_prefix(&*self.inbox).and_then(|number| number.parse().ok());
        let Some(number) = number else { return };
        match pub_ack::read(message) {
            Answer::Taken(sequence) => {
                if let Some(payload) = self.in_flight.acknowledge(number) {
                    if !self.in_flight.has_refused()
                        && let Some(refused) = self.refused.take()
                    {
                        refused.ended();
                    }
                    self.pulse.beat();
                    self.progress.acknowledged();
                    self.is_in_doubt |= sequence <= self.last.0;
                    // What was acknowledged before a doubt arose is what the stream is held against.
                    if !self.is_in_doubt {
                        self.last = (sequence, Some(payload));
                    }
                }
                fault::point("after_puback");
                self.advance();
            }
            Answer::Refused(why) => {
                self.is_in_doubt |= matches!(why, Why::NoResponders);
                self.refuse(number, &why);
            }
        }
    }

    fn refuse(&mut self, number: u64, why: &Why) {
        if self.in_flight.refuse(number) {
            // A full stream holds back: that is not the publisher's fault, and is logged as what it is.
            self.pulse.beat();
            self.refused.get_or_insert_default().log(why);
        }
    }

    /// Stores the positions before which everything is acknowledged.
    fn advance(&mut self) {
        while let Some(mut checkpoint) = self.in_flight.pop_mark() {
            checkpoint.stream = Some(self.position());
            if checkpoint.state == checkpoint::State::Truncated {
                fault::point("before_truncated_mark");
            }
            let Some(store) = &self.store else { continue };
            // The disk cannot be read: after a crash more rows are sent again.
            if let Err(error) = store.advance(checkpoint) {
                tracing::warn!(%error, "a position is not taken over");
            }
        }
    }

    fn position(&self) -> StreamPosition {
        let (last_sequence, message) = &self.last;
        let last_hash = message.as_deref().map(hash);
        StreamPosition { created: self.created, last_sequence: *last_sequence, last_hash }
    }

    /// While nothing is in flight, no answer would show that the stream was deleted, so it is checked from time to time.
    async fn look_at_rest(&mut self) {
        let is_due = self.in_flight.is_empty() && self.looked.elapsed() >= LOOK;
        if !is_due || self.is_in_doubt || !self.nats.is_connected() {
            return;
        }
        self.looked = Instant::now();
        let found = self.nats.jetstream.get_stream(stream::STREAM).await;
        self.is_in_doubt = match found {
            Ok(found) => stream::incarnation(found.cached_info()).created != self.created,
            Err(error) => matches!(error.kind(), GetStreamErrorKind::JetStream(_)),
        };
    }

    /// Sends again what was refused, or not acknowledged in time. While there is no connection it would only queue up
    /// before what the next one sends.
    async fn send_late(&mut self) -> Result<(), Error> {
        if self.nats.client.connection_state() != State::Connected {
            return Ok(());
        }
        for (number, subject, payload) in self.in_flight.late(self.config.publish.ack_timeout) {
            self.progress.resent();
            self.send(number, subject, payload).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
