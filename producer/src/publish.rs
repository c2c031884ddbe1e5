//! Sends messages to the stream and sees to it that each is acknowledged. Chunks enter, acknowledged positions leave.
//!
//! A window of messages is on its way at a time. Their acknowledgements come to one inbox of this publisher, each with
//! the number of its message. One that does not come is "unknown": the message is sent again, under the same number.
//! No message id is sent: the database knows a row that came twice by its origin.

mod answer;
mod look;
mod refused;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Message, PublishErrorKind, Subject, Subscriber};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::config::Config;
use common::health::Pulse;
use common::nats::Nats;
use common::stream::{self, Incarnation};
use common::{Shutdown, fault};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use crate::checkpoint::{self, Checkpoint, Store, StreamPosition};
use crate::map::Mapped;
use crate::progress::Progress;
use crate::tail::identity::hash;
use crate::tail::{Chunk, Wake};
use crate::window::Window;
use answer::{Answer, Why};
use refused::Refused;

/// The longest turn: the broker is asked for the stream, a few times.
const TURN: Duration = Duration::from_mins(2);

/// Why publishing ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The inbox for acknowledgements could not be had.
    #[error("failed to subscribe to the inbox for acknowledgements")]
    Subscribe(#[source] async_nats::SubscribeError),
    /// The connection is closed for good.
    #[error("the connection to nats-server is closed")]
    Closed,
    /// Asked to stop at once while messages were on their way.
    #[error("stopped with {0} messages that nobody has acknowledged; they are sent again at the next start")]
    Stopped(usize),
}

/// One publisher of one tailer.
pub(crate) struct Publisher {
    nats: Nats,
    config: Config,
    store: Arc<Store>,
    progress: Arc<Progress>,
    wakes: mpsc::Sender<Wake>,
    pulse: Pulse,
    /// `prefix.` before a message's number.
    inbox: String,
    acks: Subscriber,
    window: Window,
    /// What is to be sent next, in order.
    backlog: VecDeque<Step>,
    /// When the stream was made.
    created: DateTime<Utc>,
    /// The largest sequence that was acknowledged, or was there before, and its message where it is one of ours.
    last: (u64, Option<Bytes>),
    generation: u64,
    /// Set when the stream may not be the one that it was, until it was looked at: after a reconnect, when nobody keeps
    /// its subjects, when its sequences go back.
    is_in_doubt: bool,
    /// Set while the broker refuses.
    refused: Option<Refused>,
}

/// One step of a chunk.
enum Step {
    Send(Mapped),
    Reach(Box<Checkpoint>),
}

impl Publisher {
    pub(crate) async fn new(
        nats: Nats,
        config: Config,
        store: Arc<Store>,
        progress: Arc<Progress>,
        wakes: mpsc::Sender<Wake>,
        stream: Incarnation,
    ) -> Result<Self, Error> {
        let prefix = nats.client.new_inbox();
        let acks = nats.client.subscribe(format!("{prefix}.*")).await.map_err(Error::Subscribe)?;
        Ok(Self {
            window: Window::new(config.publish.window),
            inbox: format!("{prefix}."),
            nats,
            config,
            store,
            pulse: progress.health().pulse("publish", TURN),
            progress,
            wakes,
            acks,
            backlog: VecDeque::new(),
            created: stream.created,
            last: (stream.last_sequence, None),
            generation: 0,
            is_in_doubt: false,
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
        ended.unwrap_or_else(|| match self.window.len() + self.backlog.len() {
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
        while more || !self.backlog.is_empty() || !self.window.is_empty() {
            self.pulse.beat();
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
            self.backlog.extend(chunk.messages.into_iter().map(Step::Send));
            self.backlog.extend(chunk.marks.into_iter().map(Box::new).map(Step::Reach));
        }
    }

    async fn send_backlog(&mut self) -> Result<(), Error> {
        while self.window.has_room() && self.refused.is_none() {
            match self.backlog.pop_front() {
                Some(Step::Send(message)) => {
                    let number = self.window.push(message.subject.clone(), message.payload.clone());
                    self.send(number, message.subject, message.payload).await?;
                }
                Some(Step::Reach(checkpoint)) => {
                    self.window.push_mark(*checkpoint);
                    self.reach();
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
        // While the server is away the client takes only so many messages.
        self.pulse.rest();
        match self.nats.client.publish_with_reply(subject, reply, payload).await {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::Send => return Err(Error::Closed),
            // The server came back with a lower limit, which a person has to raise, or to live with at the next start.
            Err(error) => {
                self.window.refuse(number);
                self.refused.get_or_insert_default().tell(&Why::Other(error.to_string()));
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
        match answer::read(message) {
            Answer::Taken(sequence) => {
                if let Some(refused) = self.refused.take() {
                    refused.ended();
                }
                if let Some(payload) = self.window.acknowledge(number) {
                    self.progress.acknowledged();
                    self.is_in_doubt |= sequence <= self.last.0;
                    // What was acknowledged before a doubt arose is what the stream is held against.
                    if !self.is_in_doubt {
                        self.last = (sequence, Some(payload));
                    }
                }
                fault::point("after_puback");
                self.reach();
            }
            Answer::Refused(why) => {
                self.is_in_doubt |= matches!(why, Why::Nobody);
                self.window.refuse(number);
                self.refused.get_or_insert_default().tell(&why);
            }
        }
    }

    /// Takes over the positions before which everything is acknowledged.
    fn reach(&mut self) {
        while let Some(mut checkpoint) = self.window.pop_mark() {
            checkpoint.stream = Some(self.position());
            if checkpoint.state == checkpoint::State::Truncated {
                fault::point("before_truncated_mark");
            }
            self.store.advance(checkpoint);
        }
    }

    fn position(&self) -> StreamPosition {
        let (last_sequence, message) = &self.last;
        let last_hash = message.as_deref().map(hash);
        StreamPosition { created: self.created, last_sequence: *last_sequence, last_hash }
    }

    /// Sends again what was refused, or not acknowledged in time. While there is no connection it would only queue up
    /// before what the next one sends.
    async fn send_late(&mut self) -> Result<(), Error> {
        if self.nats.client.connection_state() != State::Connected {
            return Ok(());
        }
        for (number, subject, payload) in self.window.late(self.config.publish.ack_timeout) {
            self.progress.resent();
            self.send(number, subject, payload).await?;
        }
        Ok(())
    }
}
