//! A stage that has work and makes no progress, and a task beside the stages that panics.

use std::fs;
use std::time::{Duration, Instant};

use common::FileId;
use common::config::{Config, Health};
use common::health::{Ask, Service};
use common::wire::ClosedFile;
use sandbox::testing::{Proxy, Way, hanging, health_port, stall_reports};

use crate::test_env::{TestEnv, rows, until};

/// The stage hangs as at a lock that is never released: one line says so within its limit, and so does `/healthz`.
async fn is_noticed(stage: &str) {
    let env = TestEnv::start().await;
    fs::create_dir_all(&env.config.data_dir).unwrap();
    let producer = env.producer_with(&hanging(stage), "", &["tail"]);
    env.land("a.csv", rows(1..=100));
    let logged = || fs::read_to_string(env.log()).unwrap();
    until("it is logged", async || stall_reports(&logged(), stage) > 0).await;
    let refused = ask(&logged()).await.unwrap_err();
    assert!(refused.contains("is stuck in: ") && refused.contains(stage), "{refused}");
    // Once, however long it lasts.
    assert_eq!(stall_reports(&logged(), stage), 1, "{}", logged());
    producer.kill().await;
}

/// Asks the process of this log whether it is alive.
async fn ask(log: &str) -> Result<(), String> {
    let config = Health { port: Some(health_port(log)), ..Config::default().health };
    let asked = Ask { ready: false, port: None }.execute(&config, Service::Producer).await;
    asked.map(|_| ()).map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn rule_no_silent_stall_of_tail() {
    is_noticed("tail").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_publish() {
    is_noticed("publish").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_checkpoint() {
    is_noticed("checkpoint").await;
}

/// A connection that stands and carries no answer.
#[tokio::test(flavor = "multi_thread")]
async fn rule_no_silent_stall_of_publish_while_the_broker_does_not_answer() {
    let env = TestEnv::start().await;
    let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
    let tailer = env.tail_with(|config| config.nats.url = Some(proxy.url()));
    env.land("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    let stuck = || tailer.progress.health().stuck(Instant::now() + Duration::from_mins(3));
    until("nothing is in flight", async || !stuck().contains(&"publish")).await;
    proxy.hold(Way::ToClient);
    env.land("b.csv", rows(11..=13));
    until("it has work", async || stuck().contains(&"publish")).await;
    // That it sends again is no progress.
    let resent = tailer.progress.resends();
    until("it sends again", async || tailer.progress.resends() > resent).await;
    assert!(stuck().contains(&"publish"));
    proxy.mend();
    env.land("c.csv", rows(21..=23));
    env.until_finished("c.csv", 3).await;
    until("nothing is in flight", async || !stuck().contains(&"publish")).await;
    tailer.drain().await;
}

#[tokio::test]
async fn a_panic_of_a_task_beside_the_stages_ends_the_producer_with_its_words() {
    for task in ["purge", "flush", "closed"] {
        let env = TestEnv::start().await;
        fs::create_dir_all(&env.config.data_dir).unwrap();
        env.announce_closed(FileId::from(1), ClosedFile { revision: 1, rows_read: 1 }).await;
        let ended = env.producer_with(&[("FAULT_PANIC", task)], "", &["tail"]).end().await;
        assert_eq!(ended.code, Some(1), "{task}");
        let last = ended.err.lines().rfind(|line| line.contains("a stage of the producer ended by a panic"));
        let last = last.unwrap_or_else(|| panic!("{task}: {}", ended.err));
        assert!(last.contains(&format!("FAULT_PANIC={task}")), "{last}");
    }
}
