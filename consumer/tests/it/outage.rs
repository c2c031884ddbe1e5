//! Services go away and come back.

use common::stream;
use sandbox::testing::Log;
use secrecy::ExposeSecret as _;

use crate::server::Server;
use crate::test_env::{TestEnv, row, rows, until};

#[tokio::test]
async fn lost_connections_to_the_database_are_survived() {
    let env = TestEnv::start().await;
    let replica = env.replica_with(|config| config.batch.rows = 50);
    for _ in 0..5 {
        let before = replica.progress.events();
        env.publish_rows(rows(i64::try_from(before).unwrap() + 1, 1_000)).await;
        until("connections were there to lose", async || env.end_connections().await > 0).await;
        until("the rows have come", async || replica.progress.events() == before + 1_000).await;
    }
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates), (5_000, 0));
    assert_eq!(env.count("select count(*) from events").await, 5_000);
    assert_eq!(env.count("select sum(events) from batch_files").await, 5_000);
}

#[tokio::test]
async fn a_batch_that_waits_for_a_lock_is_written_when_it_is_free() {
    let env = TestEnv::start().await;
    let mut lock = env.pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    let replica = env.replica();
    env.publish_rows(rows(7, 10)).await;
    until("the writer waits", async || {
        env.count("select count(*) from pg_locks where not granted").await > 0
    })
    .await;
    assert_eq!(env.unread().await.0, 10, "nothing is acknowledged before it has committed");
    lock.rollback().await.unwrap();
    env.until("select count(*) from events", 10).await;
    env.until_acknowledged().await;
    replica.drain().await;
}

#[tokio::test]
async fn a_deleted_durable_is_made_again_and_rows_that_were_read_before_are_recognised() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    env.stream.delete_consumer(stream::DURABLE).await.unwrap();
    env.publish_rows(rows(8, 100)).await;
    env.until("select count(*) from events", 200).await;
    until("everything is acknowledged", async || {
        env.stream.consumer_info(stream::DURABLE).await.is_ok() && env.unread().await == (0, 0)
    })
    .await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates), (200, 0));
    assert_eq!(counts.redelivered, 100);
}

/// So many lines say that trouble with the database began, and so many that it ended; none says anything else.
fn assert_told(log: &Log, began: usize, ended: usize) {
    assert_eq!(log.lines("WARN").len(), began, "{:#?}", log.lines(""));
    assert_eq!(log.lines("WARN PostgreSQL is in trouble").len(), began, "{:#?}", log.lines(""));
    assert_eq!(log.lines("INFO PostgreSQL is back").len(), ended, "{:#?}", log.lines(""));
}

/// A replica that starts now says why it waits, and can be ended.
async fn assert_waits_at_the_start(env: &TestEnv, log: &Log, why: &str) {
    let replica = env.replica();
    until("it is logged", async || log.lines(why).len() == 1).await;
    replica.shutdown.drain();
    let error = replica.end().await.unwrap_err().to_string();
    assert!(error.contains("stopped before PostgreSQL"), "{error}");
}

#[tokio::test]
async fn a_database_that_stops_or_crashes_under_load_is_waited_for_and_nothing_more_is_pulled() {
    let log = Log::listen();
    let mut server = Server::start().await;
    let env = TestEnv::on(server.url.clone()).await;
    env.publish_rows(rows(7, 10_000)).await;
    let replica = env.replica_with(|config| config.batch.rows = 50);
    until("rows flow", async || replica.progress.events() > 1_000).await;
    server.crash();
    until("it is logged", async || !log.lines("WARN").is_empty()).await;
    // What one request asks for, half of the next, and what the queue and the writers hold.
    let (in_flight, _) = env.unread().await;
    assert!(in_flight < 2_000, "{in_flight} messages were pulled");
    server.start_again().await;
    until("rows flow", async || replica.progress.events() > 4_000).await;
    // One writer may lose its connection while the other one still writes: then it is over, and begins again.
    let crashed = log.lines("WARN").len();
    assert!(crashed <= 3, "{:#?}", log.lines(""));
    assert_told(&log, crashed, crashed);
    server.stop().await;
    until("it is logged", async || log.lines("WARN").len() > crashed).await;
    server.start_again().await;
    until("the rows have come", async || replica.progress.events() == 10_000).await;
    env.until_acknowledged().await;
    replica.drain().await;
    let all = log.lines("WARN").len();
    assert!(all <= crashed + 3, "{:#?}", log.lines(""));
    assert_told(&log, all, all);
    assert_eq!(env.count("select count(*) from events").await, 10_000);
    assert_eq!(env.count("select sum(events) from batch_files").await, 10_000);
}

#[tokio::test]
async fn a_database_that_is_read_only_as_a_standby_is_waited_for_until_it_is_promoted() {
    let log = Log::listen();
    let mut server = Server::start().await;
    let env = TestEnv::on(server.url.clone()).await;
    let replica = env.replica();
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    server.stop().await;
    server.becomes_standby();
    server.start_again().await;
    assert_eq!(env.count("select count(*) from events where pg_is_in_recovery()").await, 100);
    env.publish_rows(rows(8, 100)).await;
    until("it is logged", async || log.lines("WARN PostgreSQL is in trouble").len() == 1).await;
    assert_waits_at_the_start(&env, &log, "read-only transaction").await;
    sqlx::query("select pg_promote()").execute(&env.pool).await.unwrap();
    env.until("select count(*) from events", 200).await;
    replica.drain().await;
    // The other one was ended in the middle of it.
    assert_told(&log, 2, 1);
    assert_eq!(env.count("select sum(events) from batch_files").await, 200);
}

#[tokio::test]
async fn a_database_without_a_free_connection_is_waited_for() {
    let log = Log::listen();
    let mut env = TestEnv::start().await;
    // A superuser has no limit.
    let role = "create role writer_DB login password 'secret';
        grant all on all tables in schema public to writer_DB;
        grant all on all sequences in schema public to writer_DB;
        grant temporary on database DB to writer_DB";
    let database: String =
        sqlx::query_scalar("select current_database()").fetch_one(&env.pool).await.unwrap();
    sqlx::raw_sql(&role.replace("DB", &database)).execute(&env.pool).await.unwrap();
    let server = env.url.expose_secret().split_once('@').unwrap().1;
    env.config.database.url = Some(format!("postgres://writer_{database}:secret@{server}").into());
    let replica = env.replica();
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    let limit = async |connections: i32| {
        let limit = format!("alter role writer_{database} connection limit {connections}");
        sqlx::raw_sql(&limit).execute(&env.pool).await.unwrap();
    };
    limit(0).await;
    until("connections were there to lose", async || env.end_connections().await > 0).await;
    env.publish_rows(rows(8, 100)).await;
    until("it is logged", async || log.lines("WARN PostgreSQL is in trouble").len() == 1).await;
    assert_waits_at_the_start(&env, &log, "too many connections").await;
    limit(-1).await;
    env.until("select count(*) from events", 200).await;
    replica.drain().await;
    // The other one was ended in the middle of it.
    assert_told(&log, 2, 1);
    assert_eq!(env.count("select sum(events) from batch_files").await, 200);
}

#[tokio::test]
async fn what_postgres_raises_when_its_disk_or_memory_is_full_or_transactions_collide_passes() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    // Stand-ins: a trigger raises the codes of disk full, out of memory, not serializable, deadlock, lock not
    // available and shutting down, one an attempt.
    let trigger = "create sequence attempts;
        create function fail() returns trigger language plpgsql as $$
            declare code text := (array['53100', '53200', '40001', '40P01', '55P03', '57P01'])[nextval('attempts')];
            begin
                if code is not null then
                    raise exception 'stands for %', code using errcode = code;
                end if;
                return null;
            end $$;
        create trigger fail before insert on events for each statement execute function fail()";
    sqlx::raw_sql(trigger).execute(&env.pool).await.unwrap();
    let replica = env.replica();
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    env.until_acknowledged().await;
    let counts = replica.drain().await;
    assert!(env.count("select last_value from attempts").await > 6);
    assert_eq!((counts.events, counts.redelivered), (100, 0));
    assert_eq!(env.count("select sum(events) from batch_files").await, 100);
    assert_told(&log, 1, 1);
}

#[tokio::test]
async fn a_deadlock_with_somebody_else_is_tried_again() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    // Long enough for the circle to close before the writer, who has waited longest, looks for one.
    let timeout = "do $$ begin execute format('alter database %I set deadlock_timeout = %L',
        current_database(), '3s'); end $$";
    sqlx::raw_sql(timeout).execute(&env.pool).await.unwrap();
    let insert = |event: u128| {
        format!(
            "insert into events (event_id, event_type, event_timestamp, file_id, source_row, batch_id)
             values ('{}', 'view', now(), 9, {event}, 0)",
            uuid::Uuid::from_u128(event)
        )
    };
    let mut other = env.pool.begin().await.unwrap();
    sqlx::raw_sql("set local deadlock_timeout = '1h'").execute(&mut *other).await.unwrap();
    sqlx::raw_sql(&insert(2)).execute(&mut *other).await.unwrap();
    // All at once, so that they are one batch, sorted by event.
    env.publish_rows([row(7, 1, 1), row(7, 2, 2)]).await;
    let replica = env.replica();
    let waiting = "select count(*) from pg_stat_activity where datname = current_database()
        and application_name = 'millrace consumer' and wait_event_type = 'Lock'";
    env.until(waiting, 1).await;
    sqlx::raw_sql(&insert(1)).execute(&mut *other).await.expect("the writer gives way");
    other.rollback().await.unwrap();
    env.until("select count(*) from events", 2).await;
    assert_eq!(replica.drain().await.events, 2);
    assert_eq!(log.lines("deadlock detected").len(), 1, "{:#?}", log.lines(""));
    assert_told(&log, 1, 1);
}
