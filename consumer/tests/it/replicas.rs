//! Several replicas at once.

use std::time::Duration;

use common::config::Config;

use crate::test_env::{TestEnv, finished, row, rows, until};

/// A replica of this name with one writer.
fn named(name: &str) -> impl Fn(&mut Config) {
    move |config| {
        config.consumer.replica = Some(name.to_owned());
        config.consumer.writers = 1;
        config.batch.rows = 100;
    }
}

/// A statement that holds an event's key, and is another replica's as far as anyone can see.
fn insert(event: u128) -> String {
    format!(
        "insert into events (event_id, event_type, event_timestamp, file_id, source_row, batch_id)
         values ('{}', 'view', now(), 9, {event}, 0)",
        uuid::Uuid::from_u128(event)
    )
}

async fn until_a_writer_waits(env: &TestEnv) {
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
        and application_name = 'millrace consumer' and wait_event_type = 'Lock'";
    until("a writer waits", async || env.count(waiting).await > 0).await;
}

#[tokio::test]
async fn rule_two_statements() {
    let env = TestEnv::start().await;
    let replica = env.replica_with(named("one"));
    // Duplicates in every batch, until the writer goes the careful path at once.
    env.publish_rows([row(7, 1, 1)]).await;
    for number in 2..=10 {
        env.publish_rows([row(7, number, 1)]).await;
        env.until("select count(*) from duplicates", number - 1).await;
    }
    // Another replica's row becomes visible only while the first statement waits for it.
    let mut other = env.pool.begin().await.unwrap();
    sqlx::raw_sql(&insert(2)).execute(&mut *other).await.unwrap();
    env.publish_rows([row(7, 11, 2)]).await;
    until_a_writer_waits(&env).await;
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
        and datname = current_database() and query like '-- Puts new rows into events%'";
    assert_eq!(env.count(waiting).await, 1);
    other.commit().await.unwrap();
    env.until("select count(*) from duplicates", 10).await;
    assert_eq!(env.count("select count(*) from duplicates where source_row = 11 and differs").await, 1);
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates, counts.redelivered), (1, 10, 0));
}

#[tokio::test]
async fn rule_no_hot_row() {
    let env = TestEnv::start().await;
    // The file is known already, so that its account could be updated.
    let zero = env.replica_with(named("zero"));
    env.publish_account(&finished(7, 1, 5_000)).await;
    env.until("select count(*) from files", 1).await;
    zero.drain().await;
    // A transaction of replica one waits at its COMMIT with every lock that it has taken.
    let mut held = env.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *held).await.unwrap();
    let trigger = "create function wait() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
        create constraint trigger wait after insert on batches deferrable initially deferred
            for each row when (new.replica = 'one') execute function wait()";
    sqlx::raw_sql(trigger).execute(&env.pool).await.unwrap();
    let one = env.replica_with(named("one"));
    env.publish_rows(rows(7, 100)).await;
    until_a_writer_waits(&env).await;
    // More of the same file than one replica takes in advance.
    let two = env.replica_with(named("two"));
    env.publish_rows(rows(7, 5_000).split_off(100)).await;
    until("the other replica has committed", async || two.progress.events() > 1_000).await;
    assert_eq!(one.progress.events(), 0);
    held.rollback().await.unwrap();
    env.until("select count(*) from events", 5_000).await;
    env.until_acknowledged().await;
    let (one, two) = (one.drain().await, two.drain().await);
    assert_eq!((one.events + two.events, one.duplicates + two.duplicates), (5_000, 0));
    assert_eq!(env.count("select sum(events) from batch_files where file_id = 7").await, 5_000);
}

#[tokio::test]
async fn the_same_event_in_two_files_in_two_replicas_at_once_is_one_event_and_one_duplicate() {
    let env = TestEnv::start().await;
    let replicas = [env.replica_with(named("one")), env.replica_with(named("two"))];
    let settled = "select (select count(*) from events) + (select count(*) from duplicates)";
    // One row a message and a batch: the two replicas take turns.
    for event in 1..=100_u32 {
        let number = event.into();
        env.publish_rows([row(7, number, event.into()), row(8, number, event.into())]).await;
        env.until(settled, i64::from(2 * event)).await;
    }
    assert_eq!(env.count("select count(*) from events").await, 100);
    assert_eq!(env.count("select count(distinct event_id) from duplicates where not differs").await, 100);
    assert_eq!(env.count("select count(distinct replica) from batches").await, 2);
    for replica in replicas {
        replica.drain().await;
    }
}

#[tokio::test]
async fn a_replica_that_dies_hands_its_rows_on_after_ack_wait() {
    let mut env = TestEnv::start().await;
    env.config.consumer.ack_wait = Duration::from_secs(1);
    let mut lock = env.pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    let one = env.replica_with(named("one"));
    env.publish_rows(rows(7, 1_000)).await;
    until_a_writer_waits(&env).await;
    one.shutdown.stop();
    one.end().await.unwrap();
    lock.rollback().await.unwrap();
    let two = env.replica_with(named("two"));
    env.until("select count(*) from events", 1_000).await;
    env.until_acknowledged().await;
    assert_eq!(two.drain().await.events, 1_000);
    assert_eq!(env.count("select count(*) from batches where replica = 'one'").await, 0);
}
