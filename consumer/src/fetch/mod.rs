//! Takes messages off the stream's durable consumer: the broker enters, [`Message`]s leave.
//!
//! Whatever breaks the subscription (a lost connection, a deleted durable, a broker that starts anew) is mended
//! here, with one line when it begins and one when it ends.

mod durable;
mod pull;

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::config::Config;
use common::nats::Nats;
use common::{Clock, Shutdown};

use crate::outage::Outage;
use pull::Pull;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why no messages can be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is not there and cannot be made.
    #[error(transparent)]
    Stream(#[from] common::stream::Error),
    /// The durable is not there and cannot be made.
    #[error("failed to set up the durable consumer {}", common::stream::DURABLE)]
    Durable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Someone else made a durable of that name.
    #[error(
        "the durable consumer {} {difference}, which cannot be changed; delete it, and rows that were read before \
         are recognised and not written again",
        common::stream::DURABLE
    )]
    Foreign {
        /// In what it differs.
        difference: &'static str,
    },
    /// The subscription broke.
    #[error(transparent)]
    Pull(#[from] pull::Error),
}

/// Where a message stands: in which life of the stream, and at which sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) stream_created: DateTime<Utc>,
    pub(crate) sequence: u64,
}

/// Where to acknowledge a message.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) Subject);

/// One message as it came.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) position: Position,
    pub(crate) reply: Reply,
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
    stream_created: DateTime<Utc>,
    pull: Pull,
}

impl Fetch {
    /// Makes stream and durable where they are missing, and subscribes.
    pub(crate) async fn start(nats: Nats, config: Arc<Config>, clock: Clock) -> Result<Self, Error> {
        let (stream_created, pull) = subscribe(&nats, &config).await?;
        Ok(Self { nats, config, clock, outage: Outage::new("the subscription"), stream_created, pull })
    }

    /// The next message. When `shutdown` drains, no more are asked for: what was asked for still comes, so that it
    /// need not be delivered again, and then `None`.
    pub(crate) async fn next(&mut self, shutdown: &Shutdown) -> Option<Message> {
        loop {
            let pulled = tokio::select! {
                biased;
                pulled = self.pull.next(), if !shutdown.is_draining() => pulled,
                () = shutdown.draining() => Ok(self.pull.next_asked().await?),
            };
            match pulled {
                Ok(message) => {
                    if let Some(message) = self.message(message) {
                        return Some(message);
                    }
                }
                Err(error) => self.mend(&error, shutdown).await?,
            }
        }
    }

    /// `None` for what did not come from a stream, which an inbox cannot refuse.
    fn message(&self, message: async_nats::Message) -> Option<Message> {
        let reply = message.reply.as_ref()?;
        let sequence = pull::stream_sequence(reply)?;
        Some(Message {
            position: Position { stream_created: self.stream_created, sequence },
            // A copy: the original shares its memory with the payloads beside it and would keep them.
            reply: Reply(Subject::from(reply.as_str())),
            subject: message.subject,
            payload: message.payload,
            fetched_us: self.clock.micros(),
        })
    }

    /// Subscribes anew until it works; `None` when `shutdown` drains first.
    async fn mend(&mut self, error: &pull::Error, shutdown: &Shutdown) -> Option<()> {
        self.outage.failed(error);
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = shutdown.draining() => return None,
            }
            match subscribe(&self.nats, &self.config).await {
                Ok((stream_created, pull)) => {
                    self.stream_created = stream_created;
                    self.pull = pull;
                    self.outage.succeeded();
                    return Some(());
                }
                Err(error) => self.outage.failed(&error),
            }
        }
    }
}

async fn subscribe(nats: &Nats, config: &Config) -> Result<(DateTime<Utc>, Pull), Error> {
    let stream_created = durable::ensure(&nats.jetstream, config).await?;
    Ok((stream_created, Pull::start(nats).await?))
}
