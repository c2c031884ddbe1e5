//! Ending.

use std::time::Duration;

use crate::test_env::{TestEnv, rows, until};

#[tokio::test]
async fn a_clean_stop_under_load_leaves_nothing_for_later_to_deliver_again() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 20_000)).await;
    let replica = env.replica_with(|config| config.batch.rows = 100);
    until("some rows are there", async || replica.progress.events() > 500).await;
    let counts = replica.drain().await;
    until("every delivered message is acknowledged", async || env.unread().await.0 == 0).await;
    let (_, undelivered) = env.unread().await;
    assert_eq!(counts.events + undelivered, 20_000);
    assert!(undelivered > 0, "it was stopped before it was through");
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_changes_nothing() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 2_000)).await;
    let soon = |config: &mut common::config::Config| config.consumer.ack_wait = Duration::from_secs(1);
    let replica = env.replica_with(soon);
    until("some rows are there", async || replica.progress.events() > 0).await;
    replica.shutdown.stop();
    replica.end().await.unwrap();
    let replica = env.replica_with(soon);
    env.until("select count(*) from events", 2_000).await;
    env.until_acknowledged().await;
    replica.drain().await;
    assert_eq!(env.count("select sum(events) from batch_files where file_id = 7").await, 2_000);
    assert_eq!(env.count("select count(*) from duplicates").await, 0);
}

#[tokio::test]
async fn the_durable_is_brought_to_what_is_configured() {
    let env = TestEnv::start().await;
    env.replica().drain().await;
    let replica = env.replica_with(|config| config.consumer.max_ack_pending = 5_000);
    until("the durable has changed", async || {
        let info = env.stream.consumer_info(common::stream::DURABLE).await;
        info.is_ok_and(|info| info.config.max_ack_pending == 5_000)
    })
    .await;
    replica.drain().await;
}
