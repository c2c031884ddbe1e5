//! `nats.conf` gives each user what its part needs.

use common::{Shutdown, config, nats, stream};
use futures::{FutureExt as _, StreamExt as _};
use sandbox::testing::Log;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::broker::Broker;
use crate::test_env::{TestEnv, finished, rows, until};

/// Lets `broker` use the users of the repository's `nats.conf`, and gives its URL for one of them.
fn users_of_nats_conf(broker: &Broker) -> impl Fn(&str) -> SecretString {
    let server = with_passwords(broker, "secret");
    move |user| format!("nats://{user}:secret@{server}").into()
}

/// As [`users_of_nats_conf`] with `password`, written as it stands in the configuration. Gives host and port.
fn with_passwords(broker: &Broker, password: &str) -> String {
    broker.reload(|generated| {
        let generated: Value = serde_json::from_str(&generated).unwrap();
        let conf = include_str!("../../../nats.conf")
            .replace("127.0.0.1:4222", &format!("127.0.0.1:{}", generated["port"]))
            .replace("http: \"127.0.0.1:8222\"", "")
            .replace("data/nats", generated["jetstream"]["store_dir"].as_str().unwrap());
        ["PRODUCER", "CONSUMER", "OPERATOR"]
            .iter()
            .fold(conf, |conf, user| format!("{user}_PASSWORD: {password}\n{conf}"))
    });
    broker.url.expose_secret().split_once('@').unwrap().1.to_owned()
}

#[tokio::test]
async fn nats_conf_permits_all_that_a_consumer_does() {
    let log = Log::listen();
    let broker = Broker::start().await;
    let url = users_of_nats_conf(&broker);
    let mut env = TestEnv::at(sandbox::testing::postgres_database().await, url("operator")).await;
    env.jetstream.delete_stream(stream::STREAM).await.unwrap();

    let replica = env.replica_with(|config| config.nats.url = Some(url("consumer")));
    until("the durable is made", async || env.stream.consumer_info(stream::DURABLE).await.is_ok()).await;
    env.publish_account(&finished(7, 1, 100)).await;
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from files where closed_at is not null", 1).await;
    env.until_acknowledged().await;
    // It is made anew where it is ahead.
    env.config.nats.url = Some(url("consumer"));
    let user = nats::User::Consumer;
    let consumer = nats::connect_as(&env.config.nats, user, "test", &Shutdown::new()).await.unwrap();
    let (stream, _) = stream::ensure(&consumer.jetstream, &env.config.stream).await.unwrap();
    stream.delete_consumer(stream::DURABLE).await.unwrap();
    env.publish_rows(rows(8, 100)).await;
    env.until("select count(*) from events", 200).await;
    replica.drain().await;
    assert!(log.lines("nats-server refuses").is_empty(), "{:#?}", log.lines(""));
}

#[tokio::test]
async fn nats_conf_lets_no_producer_read_what_consumers_are_sent() {
    let broker = Broker::start().await;
    let url = users_of_nats_conf(&broker);
    let env = TestEnv::at(sandbox::testing::postgres_database().await, url("operator")).await;
    let mut config = env.config.nats.clone();
    config.url = Some(url("producer"));
    let producer =
        nats::connect_as(&config, nats::User::Producer, "curious", &Shutdown::new()).await.unwrap();
    let mut read = Vec::new();
    for inboxes in ["_INBOX.>", "_INBOX.consumer.>"] {
        read.push(producer.client.subscribe(inboxes).await.unwrap());
        producer.client.flush().await.unwrap();
        let denied = || producer.denied.borrow().clone().unwrap_or_default();
        until("it is denied", async || denied().contains(&format!("\"{inboxes}\""))).await;
    }
    let replica = env.replica_with(|config| config.nats.url = Some(url("consumer")));
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    replica.drain().await;
    producer.client.flush().await.unwrap();
    for mut inbox in read {
        assert!(inbox.next().now_or_never().flatten().is_none(), "it reads what a consumer was sent");
    }
}

#[tokio::test]
async fn a_password_may_hold_any_character() {
    let broker = Broker::start().await;
    let server = with_passwords(&broker, r#""p@ss/w:rd, 50%41 \"quoted\" + more""#);
    let password = "p%40ss%2Fw%3Ard%2C%2050%2541%20%22quoted%22%20+%20more";
    let url = format!("nats://operator:{password}@{server}").into();
    let config = config::Nats { url: Some(url), ..config::Nats::default() };
    until("it opens the door", async || nats::reach(&config, "test").await.is_ok()).await;
}
