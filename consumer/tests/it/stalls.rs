//! A stage that has work and makes no progress.

use common::config::{Config, Health};
use common::health::{Ask, Service};
use sandbox::testing::{hanging, health_port, stall_reports};

use crate::test_env::{TestEnv, finished, rows, until};

/// The stage hangs as at a lock that is never released: one line says so within its limit, and so does `/healthz`.
async fn is_noticed(stage: &str) {
    let env = TestEnv::start().await;
    let process = env.process_with(&hanging(stage), 100);
    env.publish_rows(rows(7, 100)).await;
    env.publish_account(&finished(7, 1, 100)).await;
    let logged = || process.err();
    until("it is logged", async || stall_reports(&logged(), stage) > 0).await;
    // A stage that holds its thread can hold up the runtime's timers, and then there is no answer at all.
    if stage != "decode" {
        let refused = ask(&logged()).await.unwrap_err();
        assert!(refused.contains("is stuck in: ") && refused.contains(stage), "{refused}");
    }
    // Once, however long it lasts.
    assert_eq!(stall_reports(&logged(), stage), 1, "{}", logged());
}

/// Asks the process of this log whether it is alive.
async fn ask(log: &str) -> Result<(), String> {
    let config = Health { port: Some(health_port(log)), ..Config::default().health };
    let asked = Ask { ready: false, port: None }.execute(&config, Service::Consumer).await;
    asked.map(|_| ()).map_err(|error| format!("{error:#}"))
}

#[tokio::test]
async fn rule_no_silent_stall_of_fetch() {
    is_noticed("fetch").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_decode() {
    is_noticed("decode").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_batch() {
    // Both writers.
    is_noticed("batch").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_write() {
    is_noticed("write").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_ack() {
    is_noticed("ack").await;
}

#[tokio::test]
async fn rule_no_silent_stall_of_close() {
    is_noticed("close").await;
}
