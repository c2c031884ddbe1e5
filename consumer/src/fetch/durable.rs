//! The durable consumer that all replicas share: made where it is missing, brought to what is configured, looked at.

use std::iter;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, Info, ReplayPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::ConsumerError;
use bytes::Bytes;
use chrono::SubsecRound;
use common::config::Config;
use common::stream::{self, DURABLE, STREAM, StreamPosition};

use super::Error;

/// Makes the durable where it is missing, and changes what may be changed. Gives the stream's life, and up to where in
/// it everything was acknowledged.
pub(super) async fn ensure(jetstream: &jetstream::Context, config: &Config) -> Result<StreamPosition, Error> {
    let (stream, incarnation) = stream::open(jetstream, &config.stream).await?;
    let needed = pull::Config {
        durable_name: Some(DURABLE.to_owned()),
        description: Some("writes events into PostgreSQL".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.consumer.ack_wait,
        max_ack_pending: config.consumer.max_ack_pending,
        max_deliver: -1,
        ..pull::Config::default()
    };
    let info = match stream.consumer_info(DURABLE).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            let made = stream.create_consumer(needed.clone()).await.map_err(refused)?;
            made.cached_info().clone()
        }
        Err(error) => return Err(stream::Error::from(error).into()),
    };
    let found = &info.config;
    let differences = differences(found);
    if !differences.is_empty() {
        return Err(Error::Foreign { differences: differences.join("; ") });
    }
    let same = found.ack_wait == needed.ack_wait
        && found.max_ack_pending == needed.max_ack_pending
        && found.backoff.is_empty()
        && found.inactive_threshold.is_zero()
        && (found.max_batch, found.max_bytes, found.max_expires) == (0, 0, Duration::ZERO);
    if !same {
        tracing::info!(
            ack_wait_s = needed.ack_wait.as_secs(),
            max_ack_pending = needed.max_ack_pending,
            "changing the durable consumer {DURABLE} to what is configured"
        );
        stream.create_consumer(needed).await.map_err(refused)?;
    }
    // PostgreSQL's times have no more digits: what is compared with it must not have them either.
    let stream_created = incarnation.created.trunc_subsecs(6);
    Ok(StreamPosition { stream_created, sequence: acknowledged(&info) })
}

/// What of a durable that is there would skip rows, or deliver something else than rows, each as "what there is, what is
/// needed". None of it can be changed without skipping what it has passed over so far.
fn differences(found: &consumer::Config) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differs = |setting: &str, found: String, needed: &str| {
        differences.push(format!("{setting} is {found} and must be {needed}"));
    };
    if found.ack_policy != AckPolicy::Explicit {
        differs("ack_policy", format!("{:?}", found.ack_policy).to_lowercase(), "explicit");
    }
    if found.deliver_policy != DeliverPolicy::All {
        let policy = match found.deliver_policy {
            DeliverPolicy::All => "all",
            DeliverPolicy::Last => "last",
            DeliverPolicy::New => "new",
            DeliverPolicy::ByStartSequence { .. } => "by_start_sequence",
            DeliverPolicy::ByStartTime { .. } => "by_start_time",
            DeliverPolicy::LastPerSubject => "last_per_subject",
        };
        differs("deliver_policy", policy.to_owned(), "all");
    }
    let filters = iter::once(&found.filter_subject).chain(&found.filter_subjects);
    let filters: Vec<_> = filters.filter(|filter| !filter.is_empty()).map(String::as_str).collect();
    if !filters.is_empty() {
        differs("filter_subjects", filters.join(","), "empty");
    }
    if found.replay_policy != ReplayPolicy::Instant {
        differs("replay_policy", "original".to_owned(), "instant");
    }
    if found.max_deliver > 0 {
        differs("max_deliver", found.max_deliver.to_string(), "unlimited");
    }
    if found.headers_only {
        differs("headers_only", "true".to_owned(), "false");
    }
    if let Some(subject) = &found.deliver_subject {
        differs("deliver_subject", subject.clone(), "none, so that replicas can pull");
    }
    if !found.priority_groups.is_empty() {
        differs("priority_groups", found.priority_groups.join(","), "empty");
    }
    differences
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
    /// Whether so many messages are in flight, to all replicas, that the broker delivers no more.
    pub(super) is_full: bool,
}

/// Looks at the durable after a while; `None` when nobody answers, which the missing heartbeats tell, too.
pub(super) async fn look_after(a_while: Duration, client: &Client) -> Option<Look> {
    tokio::time::sleep(a_while).await;
    let answer =
        client.request(format!("$JS.API.CONSUMER.INFO.{STREAM}.{DURABLE}"), Bytes::new()).await.ok()?;
    let info: Info = serde_json::from_slice(&answer.payload).ok()?;
    let is_full =
        i64::try_from(info.num_ack_pending).is_ok_and(|pending| pending >= info.config.max_ack_pending);
    Some(Look { pending: info.num_pending, waiting: info.num_waiting, is_full })
}
