//! Takes messages off the stream's durable consumer: the broker enters, [`Message`]s leave.
//!
//! A subscription that breaks (by a lost connection, a deleted durable, a restarted broker) is replaced here, with one
//! log line when the outage begins and one when it ends.

mod durable;
mod ack_subject;
mod pull;
mod stall;

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use common::config::Config;
use common::health::{Health, Need, Pulse};
use common::nats::Nats;
use common::stream::{self, StreamPosition, until_ready};
use common::{Classify, Clock, ErrorClass, Outage, Shutdown};

use pull::{Pull, Pulled};

/// How long messages may wait in the stream while none comes. Setting up stream and durable takes seconds.
const WITHOUT_MESSAGE: Duration = Duration::from_mins(2);

/// Why no messages can be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is not there and cannot be made.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// The durable is not there and cannot be made.
    #[error("failed to set up the durable consumer {}", stream::DURABLE)]
    Durable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A durable of that name was created by someone else.
    #[error(
        "the durable consumer {} is not as Millrace needs it: {differences}; delete it (nats consumer rm {} {}): it is \
         made again, and rows that were read before are recognised and not written again",
        stream::DURABLE,
        stream::STREAM,
        stream::DURABLE
    )]
    Foreign { differences: String },
    /// The subscription broke.
    #[error(transparent)]
    Pull(#[from] pull::Error),
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Stream(error) => error.class(),
            Self::Pull(_) => ErrorClass::Transient,
            Self::Durable(_) | Self::Foreign { .. } => ErrorClass::Stop,
        }
    }
}

/// Where to acknowledge a message.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) Subject);

/// One message as it came.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) position: StreamPosition,
    /// `None` where it is not acknowledged by itself.
    pub(crate) reply: Option<Reply>,
    pub(crate) subject: Subject,
    pub(crate) payload: Bytes,
    /// When it was taken off the stream, in microseconds since 1970.
    pub(crate) fetched_us: i64,
}

/// The durable's messages, as long as they are asked for.
#[derive(Debug)]
pub(crate) struct Fetch {
    nats: Nats,
    config: Arc<Config>,
    clock: Clock,
    outage: Outage,
    pulse: Pulse,
    is_subscribed: Need,
    /// Up to where everything was acknowledged when the durable was last set up.
    acknowledged: StreamPosition,
    pull: Pull,
}

impl Fetch {
    /// Creates stream and durable where they are missing, and subscribes, as soon as the broker is ready.
    pub(crate) async fn start(
        nats: Nats,
        config: Arc<Config>,
        clock: Clock,
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<Self, Error> {
        let connection = nats.clone();
        let is_away = move || !connection.is_connected();
        let pulse = health.pulse_unless("fetch", WITHOUT_MESSAGE, is_away);
        let is_subscribed = health.need("subscription");
        let outage = Outage::new("the subscription");
        let acknowledged = until_ready(&nats, &outage, shutdown, || {
            pulse.beat();
            Box::pin(durable::ensure(&nats.jetstream, &config))
        });
        let acknowledged = acknowledged.await?;
        let pull = Pull::start(&nats).await?;
        // Messages are requested when everything else is set up.
        pulse.rest();
        is_subscribed.set(true);
        Ok(Self { nats, config, clock, outage, pulse, is_subscribed, acknowledged, pull })
    }

    /// Up to where everything was acknowledged before the first message was asked for, by whichever replica.
    pub(crate) fn acknowledged(&self) -> StreamPosition {
        self.acknowledged
    }

    /// The next message. When `shutdown` drains, no more are asked for: what was asked for still comes, so that it
    /// need not be delivered again, and then `None`.
    pub(crate) async fn next(&mut self, shutdown: &Shutdown) -> Result<Option<Message>, Error> {
        loop {
            let pulled = tokio::select! {
                biased;
                pulled = self.pull.next(&self.pulse), if !shutdown.is_draining() => pulled,
                () = shutdown.draining() => match self.pull.next_asked().await {
                    Some(message) => Ok(Pulled::Message(message)),
                    None => return Ok(None),
                },
            };
            match pulled {
                Ok(Pulled::Message(message)) => {
                    if let Some(message) = self.message(message) {
                        // Until the next one is asked for it is with the writers.
                        self.pulse.rest();
                        return Ok(Some(message));
                    }
                }
                Ok(Pulled::Reconnected) => self.set_up_again(shutdown).await?,
                Err(error) => self.resubscribe(&error, shutdown).await?,
            }
        }
    }

    /// `None` for a message that did not come from a stream, which an inbox cannot refuse.
    fn message(&self, message: async_nats::Message) -> Option<Message> {
        let reply = message.reply.as_ref()?;
        let sequence = ack_subject::stream_sequence(reply)?;
        Some(Message {
            position: StreamPosition { sequence, ..self.acknowledged },
            // A copy: the original shares its memory with the payloads beside it and would keep them.
            reply: Some(Reply(Subject::from(reply.as_str()))),
            subject: message.subject,
            payload: message.payload,
            fetched_us: self.clock.micros(),
        })
    }

    /// Subscribes again as soon as the broker is ready.
    async fn resubscribe(&mut self, error: &pull::Error, shutdown: &Shutdown) -> Result<(), Error> {
        self.outage.failed(error);
        self.is_subscribed.set(false);
        self.set_up_again(shutdown).await?;
        self.pull = Pull::start(&self.nats).await?;
        self.is_subscribed.set(true);
        Ok(())
    }

    /// Creates stream and durable where the broker has lost them, and stores which incarnation of the stream this is.
    /// When `shutdown` drains meanwhile, everything is left as it is.
    async fn set_up_again(&mut self, shutdown: &Shutdown) -> Result<(), Error> {
        let set_up = until_ready(&self.nats, &self.outage, shutdown, || {
            self.pulse.beat();
            Box::pin(durable::ensure(&self.nats.jetstream, &self.config))
        });
        match set_up.await {
            Ok(acknowledged) => self.acknowledged = acknowledged,
            Err(Error::Stream(stream::Error::Stopped)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
