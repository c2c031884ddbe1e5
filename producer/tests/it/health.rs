//! What a stage says of itself while it works, and while it cannot.

use std::time::{Duration, Instant};

use crate::test_env::{TestEnv, rows, until};

/// Longer than any turn of any stage takes.
const LATER: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_tailer_without_room_waits_and_is_not_stuck() {
    let mut env = TestEnv::start().await;
    let tailer = env.tail();
    let is_stuck = || tailer.progress.health().stuck(Instant::now() + LATER).contains(&"tail");
    until("it turns: silent from now on, it would be stuck", async || is_stuck()).await;
    assert!(tailer.progress.health().missing().is_empty(), "{:?}", tailer.progress.health().missing());
    env.stop_nats().await;
    env.land("a.csv", rows(1..=50_000));
    until("there is no room before the publisher", async || !is_stuck()).await;
    assert_eq!(tailer.progress.health().missing(), ["nats"]);
    env.restart_nats().await;
    env.until_finished("a.csv", 50_000).await;
    tailer.drain().await;
}
