//! Numbers of batches and records that come again, as after a restore of the tables alone.

use common::stream;

use crate::test_env::{TestEnv, reject, rows, until};

/// Records a batch of somebody else.
async fn insert_foreign_batch(env: &TestEnv, number: i64) {
    sqlx::query(
        "insert into batches (batch_id, replica, stream_created, first_sequence, last_sequence, rows, inserted,
             duplicates, redelivered, rejected, fetched_at, write_began_at)
         values ($1, 'other', 'epoch', 1, 5, 5, 5, 0, 0, 0, now(), now())",
    )
    .bind(number)
    .execute(&env.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_when_sequences_begin_again() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 5)).await;
    env.publish(stream::REJECTED, reject(7, 6)).await;
    env.consume(5).await;
    sqlx::raw_sql("alter sequence runs restart; alter sequence corrupt_records_record_id_seq restart")
        .execute(&env.pool)
        .await
        .unwrap();
    env.publish_rows(rows(8, 5)).await;
    env.publish(stream::REJECTED, reject(8, 6)).await;
    let replica = env.replica();
    env.until_acknowledged().await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.corrupt, counts.redelivered), (5, 1, 0));
    assert_eq!(env.count("select count(*) from events where file_id = 8").await, 5);
    assert_eq!(env.count("select count(*) from corrupt_records where file_id = 8").await, 1);
    assert_eq!(env.count("select sum(events + corrupt)::bigint from batch_files where file_id = 8").await, 6);
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_when_another_run_has_grown_into_this_one() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_rows(rows(7, 5)).await;
    env.until("select count(*) from events", 5).await;
    env.until_acknowledged().await;
    let last = env.count("select max(batch_id) from batches").await;
    for number in last + 1..last + 10 {
        insert_foreign_batch(&env, number).await;
    }
    env.publish_rows(rows(8, 5)).await;
    env.until_acknowledged().await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.redelivered), (10, 0));
    assert_eq!(env.count("select count(*) from events where file_id = 8").await, 5);
    assert_eq!(env.count("select sum(events)::bigint from batch_files where file_id = 8").await, 5);
    // The rows refer to the batch that brought them.
    let brought = "select count(*) from events join batches using (batch_id)
        where file_id = 8 and replica <> 'other' and batches.run_id is not null";
    assert_eq!(env.count(brought).await, 5);
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_while_the_outcome_of_a_commit_is_unknown() {
    let env = TestEnv::start().await;
    let mut lock = env.pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    let replica = env.replica();
    env.publish_rows(rows(7, 5)).await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
        and application_name = 'millrace consumer' and wait_event_type = 'Lock'";
    until("a writer waits", async || env.count(waiting).await > 0).await;
    let run = env.count("select last_value from runs").await;
    // The writers may have shared the rows.
    for number in run * 1_000_000_000..run * 1_000_000_000 + 5 {
        insert_foreign_batch(&env, number).await;
    }
    env.end_connections().await;
    lock.rollback().await.unwrap();
    env.until_acknowledged().await;
    assert_eq!(replica.drain().await.events, 5);
    assert_eq!(env.count("select count(*) from events").await, 5);
}

#[tokio::test]
async fn rule_batch_id_cannot_collide_and_a_lost_batch_is_not_found_by_its_number() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_rows(rows(7, 5)).await;
    env.until("select count(*) from events", 5).await;
    env.until_acknowledged().await;
    // A failover to a server that had not heard of the last commits, where another run has used the same numbers.
    let last = env.count("select max(batch_id) from batches").await;
    sqlx::raw_sql("truncate events, batches, batch_files").execute(&env.pool).await.unwrap();
    for number in last - 5..=last {
        insert_foreign_batch(&env, number).await;
    }
    env.end_connections().await;
    env.publish_rows(rows(8, 5)).await;
    let error = replica.end().await.unwrap_err().to_string();
    assert!(error.contains("had committed and is not there any more; run `millrace heal`"), "{error}");
}

/// A stream that was put back to an older copy gives a place to another message.
#[tokio::test]
async fn a_place_in_the_stream_that_comes_again_with_another_message_loses_no_record() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    let said =
        "insert into corrupt_records (file_id, source_row, stage, reason, message, raw, stream_created,
             stream_sequence, batch_id)
         select file, file, 'producer', 'bad_price', '', 'other', $1, sequence, 0
         from (values (9, 1), (null, 2)) as place (file, sequence)";
    let created = env.stream.cached_info().created;
    let created = chrono::DateTime::from_timestamp_micros(
        i64::try_from(created.unix_timestamp_nanos() / 1_000).unwrap(),
    );
    sqlx::query(said).bind(created).execute(&env.pool).await.unwrap();
    env.publish(stream::REJECTED, reject(7, 1)).await;
    env.publish("events.view", "no json").await;
    env.until("select count(*) from corrupt_records", 4).await;
    assert_eq!(replica.drain().await.corrupt, 2);
}
