//! The process is killed between two steps.

use common::stream;
use common::wire::ClosedFile;

use crate::test_env::{TestEnv, finished, row, rows};

/// Each row is there once, in the table and in the ledger, and nothing waits to come again.
async fn is_whole(env: &TestEnv, rows: i64) {
    env.until("select count(*) from events", rows).await;
    env.until_acknowledged().await;
    assert_eq!(env.count("select sum(events) from batch_files").await, rows);
    assert_eq!(env.count("select count(*) from duplicates").await, 0);
}

#[tokio::test]
async fn a_consumer_killed_between_two_steps_loses_no_row_and_doubles_none() {
    let env = TestEnv::start().await;
    let bucket = stream::closed_bucket(&env.jetstream).await.unwrap();
    let points = [
        "after_fetch:150",
        "before_commit",
        "after_commit",
        "after_ack",
        "before_closed_word",
        "after_closed_word",
    ];
    for (file, point) in (1_i64..).zip(points) {
        env.publish_rows(rows(file, 300)).await;
        env.publish_account(&finished(file, 1, 300)).await;
        env.process_that_dies_at(point, 100).dies().await;
        let process = env.process(100);
        is_whole(&env, file * 300).await;
        env.until("select count(*) from files where closed_at is null", 0).await;
        assert_eq!(env.count("select count(*) from files").await, file, "{point}");
        let announced = bucket.get(file.to_string()).await.unwrap().unwrap();
        let announced: ClosedFile = serde_json::from_slice(&announced).unwrap();
        assert_eq!(announced, ClosedFile { revision: 1, rows_read: 300 }, "{point}");
        assert_eq!(process.drain().await.code, Some(0));
    }
}

#[tokio::test]
async fn a_consumer_killed_between_commit_and_ack_a_hundred_times_writes_each_row_once() {
    const RUNS: i64 = 100;
    const ROWS: i64 = 20;
    let env = TestEnv::start().await;
    for run in 0..RUNS {
        let numbers = run * ROWS + 1..=(run + 1) * ROWS;
        env.publish_rows(numbers.map(|number| row(7, number, number.unsigned_abs().into()))).await;
        env.process_that_dies_at("after_commit", 10).dies().await;
    }
    env.publish_account(&finished(7, 1, RUNS * ROWS)).await;
    let process = env.process(1_000);
    is_whole(&env, RUNS * ROWS).await;
    env.until("select count(*) from files where closed_at is not null", 1).await;
    assert_eq!(process.drain().await.code, Some(0));
    // Each run has committed a batch that came again.
    let redelivered = env.count("select sum(redelivered) from batches").await;
    assert!(redelivered >= RUNS, "{redelivered}");
}
