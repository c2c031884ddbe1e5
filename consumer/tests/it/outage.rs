//! Services go away and come back.

use common::stream;

use crate::bed::{Bed, rows, until};

/// Ends every connection to the test's database but the test's own.
const TERMINATE: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and application_name = 'millrace consumer'";

#[tokio::test]
async fn lost_connections_to_the_database_are_survived() {
    let bed = Bed::start().await;
    let replica = bed.replica_with(|config| config.batch.rows = 50);
    for _ in 0..5 {
        let before = replica.progress.events();
        bed.publish_rows(rows(i64::try_from(before).unwrap() + 1, 1_000)).await;
        until("connections were there to lose", async || bed.count(TERMINATE).await > 0).await;
        until("the rows have come", async || replica.progress.events() == before + 1_000).await;
    }
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates), (5_000, 0));
    assert_eq!(bed.count("select count(*) from events").await, 5_000);
    assert_eq!(bed.count("select sum(events) from batch_files").await, 5_000);
}

#[tokio::test]
async fn a_batch_that_waits_for_a_lock_is_written_when_it_is_free() {
    let bed = Bed::start().await;
    let mut lock = bed.pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    let replica = bed.replica();
    bed.publish_rows(rows(7, 10)).await;
    until("the writer waits", async || {
        bed.count("select count(*) from pg_locks where not granted").await > 0
    })
    .await;
    assert_eq!(bed.unread().await.0, 10, "nothing is acknowledged before it has committed");
    lock.rollback().await.unwrap();
    bed.until("select count(*) from events", 10).await;
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    replica.drain().await;
}

#[tokio::test]
async fn a_deleted_durable_is_made_again_and_rows_that_were_read_before_are_recognised() {
    let bed = Bed::start().await;
    let replica = bed.replica();
    bed.publish_rows(rows(7, 100)).await;
    bed.until("select count(*) from events", 100).await;
    bed.stream.delete_consumer(stream::DURABLE).await.unwrap();
    bed.publish_rows(rows(8, 100)).await;
    bed.until("select count(*) from events", 200).await;
    until("everything is acknowledged", async || {
        bed.stream.consumer_info(stream::DURABLE).await.is_ok() && bed.unread().await == (0, 0)
    })
    .await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates), (200, 0));
    assert_eq!(counts.redelivered, 100);
}
