//! The durable consumer that all replicas share: made where it is missing, brought to what is configured.

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use chrono::{DateTime, Utc};
use common::config::Config;
use common::stream::{self, DURABLE};

use super::Error;

/// Makes or changes stream and durable; gives the time at which the stream was made.
pub(super) async fn ensure(jetstream: &jetstream::Context, config: &Config) -> Result<DateTime<Utc>, Error> {
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
    let durable = stream
        .get_or_create_consumer(DURABLE, wanted.clone())
        .await
        .map_err(|error| Error::Durable(error.into()))?;
    let now = &durable.cached_info().config;
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
        stream.create_consumer(wanted).await.map_err(|error| Error::Durable(error.into()))?;
    }
    Ok(incarnation.created)
}
