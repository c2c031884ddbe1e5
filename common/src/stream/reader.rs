//! Reads a part of the stream in order: a range of sequences enters, chunks of messages leave.
//!
//! It reads through a consumer of its own, whose count of deliveries shows when a message was lost on its way. After any
//! error, the consumer is created again behind the last message that was read.

use std::time::Duration;

use async_nats::Error;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::Stream;
use futures::TryStreamExt as _;

/// Messages of one request.
const MESSAGES: u64 = 1_000;
/// How long one request may take.
const EXPIRES: Duration = Duration::from_secs(5);

pub struct Reader {
    stream: Stream,
    /// Of the consumer, without the sequence that it starts at.
    config: pull::Config,
    next: u64,
    last: u64,
    consumer: Option<Counted>,
}

/// A consumer, and how many messages it has delivered and can still deliver.
struct Counted {
    consumer: PullConsumer,
    delivered: u64,
    pending: u64,
}

/// Messages that follow each other in the stream, each with its sequence.
#[derive(Debug)]
pub struct Chunk {
    pub messages: Vec<(u64, Message)>,
    /// Everything up to this sequence was read.
    pub up_to: u64,
}

impl Reader {
    /// Reads from sequence `next` to `last` through a consumer of this `config`. One of the same name is replaced.
    pub fn new(stream: Stream, config: pull::Config, next: u64, last: u64) -> Self {
        Self { stream, config, next, last, consumer: None }
    }

    /// The sequence at which the next read begins; `None` behind the last one.
    pub fn next(&self) -> Option<u64> {
        (self.next <= self.last).then_some(self.next)
    }

    /// The next messages; `None` behind the last one. May be called again after an error.
    pub async fn read(&mut self) -> Result<Option<Chunk>, Error> {
        let Some(next) = self.next() else { return Ok(None) };
        let mut chunk = Chunk { messages: Vec::new(), up_to: next - 1 };
        let mut counted = match self.consumer.take() {
            Some(counted) => counted,
            None => self.open().await?,
        };
        let begun = counted.delivered;
        match self.fetch(&mut counted, &mut chunk).await {
            Ok(()) => self.consumer = Some(counted),
            // What came is in order; the rest is requested again.
            Err(_) if counted.delivered > begun => {}
            Err(error) => return Err(error),
        }
        self.next = chunk.up_to + 1;
        Ok(Some(chunk))
    }

    /// Creates the consumer again with the next read, behind the last message that was read.
    pub fn reopen(&mut self) {
        self.consumer = None;
    }

    /// Deletes the consumer.
    pub async fn close(&self) -> Result<(), Error> {
        let opened = self.consumer.as_ref().map(|counted| &counted.consumer.cached_info().name);
        if let Some(name) = self.config.durable_name.as_ref().or(opened) {
            self.stream.delete_consumer(name).await?;
        }
        Ok(())
    }

    async fn open(&self) -> Result<Counted, Error> {
        if let Some(name) = &self.config.durable_name
            && let Err(error) = self.stream.delete_consumer(name).await
        {
            tracing::debug!(%error, "there was no consumer {name} to delete");
        }
        let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: self.next };
        let config = pull::Config { deliver_policy, ..self.config.clone() };
        let consumer = self.stream.create_consumer(config).await?;
        Ok(Counted { delivered: 0, pending: consumer.cached_info().num_pending, consumer })
    }

    async fn fetch(&self, counted: &mut Counted, chunk: &mut Chunk) -> Result<(), Error> {
        let wanted = usize::try_from(counted.pending.min(MESSAGES))?;
        if wanted > 0 {
            let begun = counted.delivered;
            let request = counted.consumer.fetch().max_messages(wanted).expires(EXPIRES);
            let mut incoming = request.messages().await?;
            while let Some(message) = incoming.try_next().await? {
                let info = message.info()?;
                if info.consumer_sequence != counted.delivered + 1 {
                    return Err("a message was lost on its way".into());
                }
                (counted.delivered, counted.pending) = (info.consumer_sequence, info.pending);
                let sequence = info.stream_sequence;
                chunk.up_to = sequence.min(self.last);
                if sequence <= self.last {
                    chunk.messages.push((sequence, message));
                }
                if sequence >= self.last {
                    return Ok(());
                }
            }
            if counted.delivered == begun {
                return Err("no message came".into());
            }
        }
        if counted.pending == 0 {
            chunk.up_to = self.last;
        }
        Ok(())
    }
}
