//! Numbers of batches and records that come again, as after a restore of the tables alone.

use common::stream;

use crate::bed::{Bed, reject, rows, until};

/// Records a batch of somebody else.
async fn insert_foreign_batch(bed: &Bed, number: i64) {
    sqlx::query(
        "insert into batches (batch_id, replica, stream_created, first_sequence, last_sequence, rows, inserted,
             duplicates, redelivered, rejected, fetched_at, write_began_at)
         values ($1, 'other', 'epoch', 1, 5, 5, 5, 0, 0, 0, now(), now())",
    )
    .bind(number)
    .execute(&bed.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_when_sequences_begin_again() {
    let bed = Bed::start().await;
    bed.publish_rows(rows(7, 5)).await;
    bed.publish(stream::REJECTED, reject(7, 6)).await;
    bed.consume(5).await;
    sqlx::raw_sql("alter sequence runs restart; alter sequence corrupt_records_record_id_seq restart")
        .execute(&bed.pool)
        .await
        .unwrap();
    bed.publish_rows(rows(8, 5)).await;
    bed.publish(stream::REJECTED, reject(8, 6)).await;
    let replica = bed.replica();
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.corrupt, counts.redelivered), (5, 1, 0));
    assert_eq!(bed.count("select count(*) from events where file_id = 8").await, 5);
    assert_eq!(bed.count("select count(*) from corrupt_records where file_id = 8").await, 1);
    assert_eq!(bed.count("select sum(events + corrupt)::bigint from batch_files where file_id = 8").await, 6);
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_when_another_run_has_grown_into_this_one() {
    let bed = Bed::start().await;
    let replica = bed.replica();
    bed.publish_rows(rows(7, 5)).await;
    bed.until("select count(*) from events", 5).await;
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    let last = bed.count("select max(batch_id) from batches").await;
    for number in last + 1..last + 10 {
        insert_foreign_batch(&bed, number).await;
    }
    bed.publish_rows(rows(8, 5)).await;
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.redelivered), (10, 0));
    assert_eq!(bed.count("select count(*) from events where file_id = 8").await, 5);
    assert_eq!(bed.count("select sum(events)::bigint from batch_files where file_id = 8").await, 5);
    // The rows refer to the batch that brought them.
    let brought = "select count(*) from events join batches using (batch_id)
        where file_id = 8 and replica <> 'other' and batches.run_id is not null";
    assert_eq!(bed.count(brought).await, 5);
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_while_the_outcome_of_a_commit_is_unknown() {
    let bed = Bed::start().await;
    let mut lock = bed.pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    let replica = bed.replica();
    bed.publish_rows(rows(7, 5)).await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
        and application_name = 'millrace consumer' and wait_event_type = 'Lock'";
    until("a writer waits", async || bed.count(waiting).await > 0).await;
    let run = bed.count("select last_value from runs").await;
    // The writers may have shared the rows.
    for number in run * 1_000_000_000..run * 1_000_000_000 + 5 {
        insert_foreign_batch(&bed, number).await;
    }
    bed.count(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'millrace consumer' and wait_event_type = 'Lock'",
    )
    .await;
    lock.rollback().await.unwrap();
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    assert_eq!(replica.drain().await.events, 5);
    assert_eq!(bed.count("select count(*) from events").await, 5);
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_and_a_lost_batch_is_not_found_by_its_number() {
    let bed = Bed::start().await;
    let replica = bed.replica();
    bed.publish_rows(rows(7, 5)).await;
    bed.until("select count(*) from events", 5).await;
    until("everything is acknowledged", async || bed.unread().await == (0, 0)).await;
    // A failover to a server that had not heard of the last commits, where another run has used the same numbers.
    let last = bed.count("select max(batch_id) from batches").await;
    sqlx::raw_sql("truncate events, batches, batch_files").execute(&bed.pool).await.unwrap();
    for number in last - 5..=last {
        insert_foreign_batch(&bed, number).await;
    }
    bed.count(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and application_name = 'millrace consumer'",
    )
    .await;
    bed.publish_rows(rows(8, 5)).await;
    let error = replica.end().await.unwrap_err().to_string();
    assert!(error.contains("had committed and is not there any more; run `millrace heal`"), "{error}");
}

/// A stream that was put back to an older copy gives a place to another message.
#[tokio::test]
async fn a_place_in_the_stream_that_comes_again_with_another_message_loses_no_record() {
    let bed = Bed::start().await;
    let replica = bed.replica();
    let said =
        "insert into corrupt_records (file_id, source_row, stage, reason, message, raw, stream_created,
             stream_sequence, batch_id)
         select file, file, 'producer', 'bad_price', '', 'other', $1, sequence, 0
         from (values (9, 1), (null, 2)) as place (file, sequence)";
    let created = bed.stream.cached_info().created;
    let created = chrono::DateTime::from_timestamp_micros(
        i64::try_from(created.unix_timestamp_nanos() / 1_000).unwrap(),
    );
    sqlx::query(said).bind(created).execute(&bed.pool).await.unwrap();
    bed.publish(stream::REJECTED, reject(7, 1)).await;
    bed.publish("events.view", "no json").await;
    bed.until("select count(*) from corrupt_records", 4).await;
    assert_eq!(replica.drain().await.corrupt, 2);
}
