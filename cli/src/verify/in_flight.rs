//! What is between the files and the tables, as the broker tells. Nothing of it is changed.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::Stream;
use chrono::{DateTime, Utc};
use common::config::Config;
use common::stream::{DURABLE, Incarnation, STREAM, incarnation};
use common::{Shutdown, nats};
use tokio::time::{Instant, sleep, timeout};

/// How long the broker may take to answer, and consumers to commit what they were given.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Messages that are in the stream and in no table yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    /// Those that no consumer was given yet.
    pub(super) pending: u64,
    /// Those that a consumer was given and did not acknowledge.
    pub(super) unacknowledged: u64,
    /// Whether everything that was in the stream at first is committed.
    pub(super) is_settled: bool,
    /// When the stream was made.
    pub(super) stream_created: DateTime<Utc>,
    /// Everything up to this sequence was acknowledged.
    pub(super) acknowledged: u64,
    /// The sequence of the last message.
    last: u64,
}

/// Asks the broker. With `wait`, consumers get a moment to commit what is in the stream now.
pub(super) async fn look(config: &Config, wait: bool, shutdown: &Shutdown) -> anyhow::Result<Messages> {
    let Some(stream) =
        timeout(PATIENCE, find(config, shutdown)).await.context("nats-server does not answer")??
    else {
        return Ok(Messages { is_settled: true, ..Messages::default() });
    };
    let began = Instant::now();
    let mut now = ask(&stream).await?;
    let last = now.last;
    loop {
        now.is_settled = now.acknowledged >= last || now.pending + now.unacknowledged == 0;
        if now.is_settled || !wait || began.elapsed() > PATIENCE {
            return Ok(now);
        }
        sleep(PAUSE).await;
        now = ask(&stream).await?;
    }
}

/// The stream, unless nobody has made it, so that nothing can be in it.
async fn find(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Option<Stream>> {
    let nats = nats::connect(&config.nats, "millrace verify", shutdown).await?;
    match nats.jetstream.get_stream(STREAM).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(known) if known.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(error.into()),
        },
    }
}

async fn ask(stream: &Stream) -> anyhow::Result<Messages> {
    let info = stream.get_info().await?;
    let Incarnation { created, last_sequence, .. } = incarnation(&info);
    let now = Messages { last: last_sequence, stream_created: created, ..Messages::default() };
    match stream.consumer_info(DURABLE).await {
        Ok(durable) => Ok(Messages {
            pending: durable.num_pending,
            unacknowledged: durable.num_ack_pending as u64,
            // The floor of one that has delivered nothing only says where the stream begins.
            acknowledged: match durable.ack_floor.consumer_sequence {
                0 => 0,
                _ => durable.ack_floor.stream_sequence,
            },
            ..now
        }),
        // Whoever makes it begins with the first message.
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            Ok(Messages { pending: info.state.messages, ..now })
        }
        Err(error) => Err(error.into()),
    }
}
