//! A durable or a stream of our name that somebody else made.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream;
use bytes::Bytes;
use common::stream::{DURABLE, STREAM};
use serde_json::{Value, json};

use crate::test_env::{TestEnv, rows, until};

/// What Millrace makes.
fn ours() -> Config {
    Config {
        durable_name: Some(DURABLE.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 100_000,
        max_deliver: -1,
        ..Config::default()
    }
}

impl TestEnv {
    /// Makes the durable as this says.
    async fn make_durable(&self, config: Config) {
        let request = json!({ "stream_name": STREAM, "config": config });
        let subject = format!("CONSUMER.DURABLE.CREATE.{STREAM}.{DURABLE}");
        let answer: Value = self.jetstream.request(subject, &request).await.unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn rule_foreign_streams_are_refused_and_so_are_durables() {
    let env = TestEnv::start().await;
    let text = |text: &str| text.to_owned();
    let foreign = [
        (
            "filter_subjects is events.purchase and",
            Config { filter_subject: text("events.purchase"), ..ours() },
        ),
        (
            "filter_subjects is events.view,events.cart and",
            Config { filter_subjects: vec![text("events.view"), text("events.cart")], ..ours() },
        ),
        ("ack_policy is all and must be explicit", Config { ack_policy: AckPolicy::All, ..ours() }),
        ("deliver_policy is new and must be all", Config { deliver_policy: DeliverPolicy::New, ..ours() }),
        ("replay_policy is original and", Config { replay_policy: ReplayPolicy::Original, ..ours() }),
        ("max_deliver is 3 and must be unlimited", Config { max_deliver: 3, ..ours() }),
        ("headers_only is true and must be false", Config { headers_only: true, ..ours() }),
        (
            "deliver_subject is there and must be none",
            Config { deliver_subject: Some(text("there")), ..ours() },
        ),
    ];
    for (difference, config) in foreign {
        env.make_durable(config).await;
        let error = env.replica().end().await.expect_err(difference).to_string();
        assert!(error.starts_with("the durable consumer warehouse is not as Millrace needs it: "), "{error}");
        assert!(error.contains(difference) && error.contains("nats consumer rm EVENTS warehouse"), "{error}");
        assert!(!error.contains('\n'), "{error}");
        env.stream.delete_consumer(DURABLE).await.unwrap();
    }
}

#[tokio::test]
async fn what_may_be_changed_of_a_durable_is_changed() {
    let env = TestEnv::start().await;
    env.make_durable(Config {
        ack_wait: Duration::from_secs(7),
        max_ack_pending: 5,
        max_batch: 1,
        max_bytes: 1_000,
        max_expires: Duration::from_secs(1),
        inactive_threshold: Duration::from_hours(1),
        ..ours()
    })
    .await;
    env.publish_rows(rows(7, 100)).await;
    env.consume(100).await;
    let now = env.stream.consumer_info(DURABLE).await.unwrap().config;
    assert_eq!((now.ack_wait, now.max_ack_pending), (Duration::from_secs(30), 100_000));
    assert_eq!((now.max_batch, now.max_bytes, now.max_expires), (0, 0, Duration::ZERO));
    assert_eq!(now.inactive_threshold, Duration::ZERO);
}

#[tokio::test]
async fn rule_foreign_streams_are_refused_by_consumers_too() {
    let env = TestEnv::start().await;
    let changed =
        stream::Config { max_age: Duration::from_hours(1), ..env.stream.cached_info().config.clone() };
    env.jetstream.update_stream(changed).await.unwrap();
    let error = env.replica().end().await.unwrap_err().to_string();
    assert!(error.contains("max_age is 3600s and must be unlimited"), "{error}");
}

#[tokio::test]
async fn rule_limits_are_set_by_the_producer_and_not_by_consumers() {
    let env = TestEnv::start().await;
    let before = env.stream.cached_info().config.max_bytes;
    let replica = env.replica_with(|config| config.stream.max_bytes = before / 2);
    env.publish_rows(rows(7, 10)).await;
    env.until("select count(*) from events", 10).await;
    assert_eq!(env.stream.get_info().await.unwrap().config.max_bytes, before);
    replica.drain().await;
}

/// The durable's messages are as large as the broker allows, and a request for them has room for that.
#[tokio::test]
async fn a_message_as_large_as_max_payload_holds_back_nothing() {
    const LARGEST: usize = 4 << 20;
    let broker = crate::broker::Broker::start().await;
    broker.reload(|config| {
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["max_payload"] = LARGEST.into();
        config.to_string()
    });
    let client = async_nats::connect_with_options(
        secrecy::ExposeSecret::expose_secret(&broker.url),
        crate::broker::options(&broker.url),
    );
    let client = client.await.unwrap();
    until("the server takes larger messages", async || {
        client.force_reconnect().await.unwrap();
        client.flush().await.unwrap();
        client.server_info().max_payload == LARGEST
    })
    .await;
    let env = TestEnv::at(sandbox::testing::postgres_database().await, broker.url.clone()).await;
    let small = |number| crate::test_env::row(7, number, number.unsigned_abs().into());
    let empty = small(2).with(r#""attributes":{"x":""}"#).body().len();
    let filler = "x".repeat(LARGEST - 10 - empty);
    env.publish_rows([small(1)]).await;
    let large = small(2).with(&format!(r#""attributes":{{"x":"{filler}"}}"#)).body();
    assert_eq!(large.len(), LARGEST - 10);
    env.jetstream.publish("events.view", Bytes::from(large)).await.unwrap().await.unwrap();
    env.publish_rows([small(3)]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 3).await;
    replica.drain().await;
}
