//! The process is killed between two steps.

use common::stream;
use common::wire::ClosedFile;

use crate::bed::{Bed, finished, row, rows, until};

/// Each row is there once, in the table and in the ledger, and nothing waits to come again.
async fn is_whole(bed: &Bed, rows: i64) {
    bed.until("select count(*) from events", rows).await;
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    assert_eq!(bed.count("select sum(events) from batch_files").await, rows);
    assert_eq!(bed.count("select count(*) from duplicates").await, 0);
}

#[tokio::test]
async fn a_consumer_killed_between_two_steps_loses_no_row_and_doubles_none() {
    let bed = Bed::start().await;
    let bucket = stream::closed_bucket(&bed.jetstream).await.unwrap();
    let points = [
        "after_fetch:150",
        "before_commit",
        "after_commit",
        "after_ack",
        "before_closed_word",
        "after_closed_word",
    ];
    for (file, point) in (1_i64..).zip(points) {
        bed.publish_rows(rows(file, 300)).await;
        bed.publish_account(&finished(file, 1, 300)).await;
        bed.process_that_dies_at(point, 100).dies().await;
        let process = bed.process(100);
        is_whole(&bed, file * 300).await;
        bed.until("select count(*) from files where closed_at is null", 0).await;
        assert_eq!(bed.count("select count(*) from files").await, file, "{point}");
        let announced = bucket.get(file.to_string()).await.unwrap().unwrap();
        let announced: ClosedFile = serde_json::from_slice(&announced).unwrap();
        assert_eq!(announced, ClosedFile { revision: 1, rows_read: 300 }, "{point}");
        process.drains().await;
    }
}

#[tokio::test]
async fn a_consumer_killed_between_commit_and_ack_a_hundred_times_writes_each_row_once() {
    const RUNS: i64 = 100;
    const ROWS: i64 = 20;
    let bed = Bed::start().await;
    for run in 0..RUNS {
        let numbers = run * ROWS + 1..=(run + 1) * ROWS;
        bed.publish_rows(numbers.map(|number| row(7, number, number.unsigned_abs().into()))).await;
        bed.process_that_dies_at("after_commit", 10).dies().await;
    }
    bed.publish_account(&finished(7, 1, RUNS * ROWS)).await;
    let process = bed.process(1_000);
    is_whole(&bed, RUNS * ROWS).await;
    bed.until("select count(*) from files where closed_at is not null", 1).await;
    process.drains().await;
    // Each run has committed a batch that came again.
    let redelivered = bed.count("select sum(redelivered) from batches").await;
    assert!(redelivered >= RUNS, "{redelivered}");
}
