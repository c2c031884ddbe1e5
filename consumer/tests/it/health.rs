//! What a stage says of itself while it works, and while it cannot.

use std::time::{Duration, Instant};

use crate::test_env::{TestEnv, rows, until};

/// Longer than fetching may be silent, shorter than an attempt to write may take.
const LATER: Duration = Duration::from_mins(4);

#[tokio::test]
async fn a_consumer_that_waits_for_a_lock_is_ready_and_not_stuck() {
    let env = TestEnv::start().await;
    let mut lock = env.pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    let replica = env.replica_with(|config| config.batch.rows = 100);
    let stuck = || replica.progress.health().stuck(Instant::now() + LATER);
    until("it asks for messages", async || stuck() == ["fetch"]).await;
    env.publish_rows(rows(7, 2_000)).await;
    until("the queue is full, so nothing is fetched", async || stuck().is_empty()).await;
    until("it has what it needs", async || replica.progress.health().missing().is_empty()).await;
    // A lock that nobody gives back is said in the end.
    let stuck = replica.progress.health().stuck(Instant::now() + Duration::from_hours(1));
    assert!(stuck.contains(&"write"), "{stuck:?}");
    lock.rollback().await.unwrap();
    env.until("select count(*) from events", 2_000).await;
    replica.drain().await;
}
