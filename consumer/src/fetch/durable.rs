//! The durable consumer that all replicas share: created where it is missing, and changed to what is configured.

use std::iter;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, ReplayPolicy, pull};
use async_nats::jetstream::stream::ConsumerError;
use common::config::Config;
use common::stream::{self, DURABLE, Durable, StreamPosition};

use super::Error;

/// Creates the durable where it is missing, and changes what may be changed. Returns the position up to which everything
/// was acknowledged.
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
    let info = match stream::consumer_info(&stream, DURABLE).await? {
        Some(info) => info,
        None => stream.create_consumer(needed.clone()).await.map_err(refused)?.cached_info().clone(),
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
    Ok(StreamPosition::new(incarnation.created, Durable::from(&info).acknowledged))
}

/// The settings of an existing durable that would skip rows, or deliver something else than rows, each as "what there is,
/// what is needed". None of them can be changed without skipping what it has passed over so far.
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

fn refused(error: ConsumerError) -> Error {
    match error.into() {
        stream::Error::Stream(source) => Error::Durable(source),
        other => Error::Stream(other),
    }
}
