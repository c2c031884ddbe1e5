//! `nats.conf` gives each user what its part needs.

use common::stream::{self, STREAM};
use common::{Shutdown, nats};
use sandbox::testing::Log;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::test_env::{TestEnv, row, rows, until};

/// Lets the server use the users of the repository's `nats.conf`, and gives its URL for one of them.
fn users_of_nats_conf(env: &TestEnv) -> impl Fn(&str) -> SecretString + use<> {
    env.reload_nats(|generated| {
        let generated: Value = serde_json::from_str(&generated).unwrap();
        let conf = include_str!("../../../nats.conf")
            .replace("127.0.0.1:4222", &format!("127.0.0.1:{}", generated["port"]))
            .replace("http: \"127.0.0.1:8222\"", "")
            .replace("data/nats", generated["jetstream"]["store_dir"].as_str().unwrap());
        ["PRODUCER", "CONSUMER", "OPERATOR"]
            .iter()
            .fold(conf, |conf, user| format!("{user}_PASSWORD: secret\n{conf}"))
    });
    let url = env.config.nats.url.as_ref().unwrap().expose_secret();
    let server = url.split_once('@').unwrap().1.to_owned();
    move |user| format!("nats://{user}:secret@{server}").into()
}

#[tokio::test]
async fn nats_conf_permits_all_that_a_producer_does() {
    let log = Log::listen();
    let mut env = TestEnv::start().await;
    let url = users_of_nats_conf(&env);
    env.config.nats.url = Some(url("operator"));
    env.jetstream = nats::connect(&env.config.nats, "test", &Shutdown::new()).await.unwrap().jetstream;
    env.config.nats.url = Some(url("producer"));

    // It makes stream and bucket, publishes, hears what is closed, and looks at both at its next start.
    let tailer = env.tail();
    env.land("closed.csv", rows(1..=3));
    let closed = env.until_finished("closed.csv", 3).await;
    env.close(&closed).await;
    until("it is archived", async || env.archived().len() == 1).await;
    // And takes out what it has heard.
    let bucket = env.closed_bucket().await;
    until("the bucket is empty", async || bucket.stream.get_info().await.unwrap().state.messages == 0).await;
    env.append("open.csv", rows(1..=3));
    env.until_finished("open.csv", 3).await;
    tailer.drain().await;
    env.jetstream.delete_stream(STREAM).await.unwrap();
    let tailer = env.tail();
    env.append("open.csv", row(4));
    env.until_finished("open.csv", 4).await;
    tailer.drain().await;
    // It lets a durable be made anew that is ahead.
    let user = nats::User::Producer;
    let producer = nats::connect_as(&env.config.nats, user, "test", &Shutdown::new()).await.unwrap();
    let stream = producer.jetstream.get_stream(STREAM).await.unwrap();
    let missing = stream.delete_consumer(stream::DURABLE).await.err().unwrap().to_string();
    assert!(missing.contains("consumer not found"), "{missing}");
    assert!(log.lines("nats-server refuses").is_empty(), "{:#?}", log.lines(""));
}
