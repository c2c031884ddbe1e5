//! The durable consumer that all replicas share: made where it is missing, brought to what is configured, looked at.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, pull};
use async_nats::jetstream::stream::ConsumerError;
use bytes::Bytes;
use chrono::SubsecRound;
use common::config::Config;
use common::stream::{self, DURABLE, STREAM};

use super::{Error, Position};

/// Makes or changes stream and durable. Gives the stream's life, and up to where in it everything was acknowledged.
pub(super) async fn ensure(jetstream: &jetstream::Context, config: &Config) -> Result<Position, Error> {
    let (stream, incarnation) = stream::ensure(jetstream, &config.stream).await?;
    let wanted = pull::Config {
        durable_name: Some(DURABLE.to_owned()),
        description: Some("writes events into PostgreSQL".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.consumer.ack_wait,
        max_ack_pending: config.consumer.max_ack_pending,
        max_deliver: -1,
        ..pull::Config::default()
    };
    let durable = stream.get_or_create_consumer(DURABLE, wanted.clone()).await.map_err(refused)?;
    let info = durable.cached_info();
    let now = &info.config;
    if now.ack_policy != AckPolicy::Explicit {
        return Err(Error::Foreign { difference: "does not acknowledge each message" });
    }
    if now.deliver_policy != DeliverPolicy::All {
        return Err(Error::Foreign { difference: "does not begin with the first message" });
    }
    let same = now.ack_wait == wanted.ack_wait
        && now.max_ack_pending == wanted.max_ack_pending
        && now.max_deliver == wanted.max_deliver;
    if !same {
        tracing::info!(
            ack_wait_s = wanted.ack_wait.as_secs(),
            max_ack_pending = wanted.max_ack_pending,
            "changing the durable consumer {DURABLE} to what is configured"
        );
        stream.create_consumer(wanted).await.map_err(refused)?;
    }
    // PostgreSQL's times have no more digits: what is compared with it must not have them either.
    let stream_created = incarnation.created.trunc_subsecs(6);
    Ok(Position { stream_created, sequence: acknowledged(info) })
}

/// The sequence up to which everything was acknowledged. The floor of a durable that has delivered nothing only says
/// where the stream begins.
fn acknowledged(info: &Info) -> u64 {
    if info.ack_floor.consumer_sequence == 0 { 0 } else { info.ack_floor.stream_sequence }
}

fn refused(error: ConsumerError) -> Error {
    match error.into() {
        stream::Error::Stream(word) => Error::Durable(word),
        other => Error::Stream(other),
    }
}

/// Messages that wait, and requests for them, of all replicas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) pending: u64,
    pub(super) waiting: usize,
}

/// Looks at the durable after a while; `None` when nobody answers, which the missing heartbeats tell, too.
pub(super) async fn look_after(a_while: Duration, client: &Client) -> Option<Look> {
    tokio::time::sleep(a_while).await;
    let answer =
        client.request(format!("$JS.API.CONSUMER.INFO.{STREAM}.{DURABLE}"), Bytes::new()).await.ok()?;
    let info: Info = serde_json::from_slice(&answer.payload).ok()?;
    Some(Look { pending: info.num_pending, waiting: info.num_waiting })
}
