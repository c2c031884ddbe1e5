//! A network between the consumer and its services that cuts, swallows, delays and forgets.

use std::time::Duration;

use common::config::Config;
use sandbox::testing::{Log, Proxy, Way};

use crate::test_env::{Replica, TestEnv, finished, rows, until};

const LOST: &str = "WARN connection to nats-server lost";

/// The database at the far end of a proxy; silence is soon noticed.
async fn far_database(env: &TestEnv) -> (Proxy, impl Fn(&mut Config)) {
    let proxy = Proxy::to(&env.url).await;
    let url = proxy.url();
    let change = move |config: &mut Config| {
        config.database.url = Some(url.clone());
        config.database.answer_timeout = Duration::from_millis(500);
        config.batch.rows = 50;
    };
    (proxy, change)
}

/// The broker at the far end of a proxy.
async fn far_broker(env: &TestEnv) -> (Proxy, Replica) {
    let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
    let replica = env.replica_with(|config| {
        config.nats.url = Some(proxy.url());
        config.consumer.ack_wait = Duration::from_secs(1);
        config.batch.rows = 50;
    });
    (proxy, replica)
}

/// Each row is there once, in the table and in the ledger, and nothing waits to come again.
async fn is_settled(env: &TestEnv, replica: Replica, rows: i64) {
    env.until_acknowledged().await;
    replica.drain().await;
    assert_eq!(env.count("select count(*) from events").await, rows);
    assert_eq!(env.count("select sum(events) from batch_files").await, rows);
    assert_eq!(env.count("select count(*) from duplicates").await, 0);
}

/// How often the end of an outage was logged.
fn ended(log: &Log) -> usize {
    log.lines("is back").iter().filter(|line| line.starts_with("INFO")).count()
}

/// As many lines say that trouble is over as said that it began.
async fn until_each_trouble_is_over(log: &Log) {
    until("it is logged", async || {
        let over = log.lines("INFO").iter().filter(|line| line.contains(" is back outage_ms=")).count();
        over == log.lines("WARN").len()
    })
    .await;
}

/// Makes every transaction that writes wait, at its COMMIT or before it, for a lock that the test holds.
async fn wait_for_lock(env: &TestEnv, timing: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut lock = env.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(7)").execute(&mut *lock).await.unwrap();
    let trigger = format!(
        "create function wait() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(7); return null; end $$;
         create constraint trigger wait after insert on batches deferrable initially {timing}
             for each row execute function wait()"
    );
    sqlx::raw_sql(&trigger).execute(&env.pool).await.unwrap();
    lock
}

async fn until_a_writer_waits(env: &TestEnv) {
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database())";
    until("a writer waits", async || env.count(waiting).await > 0).await;
}

#[tokio::test]
async fn a_database_whose_connections_are_cut_is_told_once_and_loses_no_row() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, far) = far_database(&env).await;
    env.publish_rows(rows(7, 5_000)).await;
    let replica = env.replica_with(far);
    for written in [500, 1_500, 2_500] {
        until("rows flow", async || replica.progress.events() > written).await;
        proxy.cut();
        let connections = proxy.connections();
        until("it has tried a few times", async || proxy.connections() > connections + 4).await;
        let begun = log.lines("WARN PostgreSQL is in trouble");
        proxy.mend();
        until("it is logged", async || log.lines("INFO PostgreSQL is back").len() == begun.len()).await;
    }
    env.until("select count(*) from events", 5_000).await;
    assert_eq!(log.lines("WARN").len(), 3, "{:#?}", log.lines(""));
    assert_eq!(log.lines("INFO PostgreSQL is back").len(), 3, "{:#?}", log.lines(""));
    is_settled(&env, replica, 5_000).await;
}

#[tokio::test]
async fn a_database_that_goes_silent_between_batches_is_left() {
    let env = TestEnv::start().await;
    let (proxy, far) = far_database(&env).await;
    let replica = env.replica_with(far);
    for file in 1..=3 {
        env.publish_rows(rows(file, 500)).await;
        env.publish_account(&finished(file, 1, 500)).await;
        // Everything, the file's closing too, comes by new connections.
        env.until("select count(*) from files where closed_at is not null", file).await;
        proxy.strand();
    }
    is_settled(&env, replica, 1_500).await;
}

#[tokio::test]
async fn a_network_that_carries_nothing_for_a_while_and_then_everything_loses_no_row() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, far) = far_database(&env).await;
    env.publish_rows(rows(7, 5_000)).await;
    let replica = env.replica_with(far);
    for written in [500, 1_500, 2_500] {
        until("rows flow", async || replica.progress.events() > written).await;
        let logged = log.lines("WARN PostgreSQL is in trouble").len();
        proxy.hold_both();
        until("it is logged", async || log.lines("WARN PostgreSQL is in trouble").len() > logged).await;
        // What was held back arrives now, on connections that nobody waits for any more.
        proxy.mend();
    }
    env.until("select count(*) from events", 5_000).await;
    until_each_trouble_is_over(&log).await;
    is_settled(&env, replica, 5_000).await;
}

#[tokio::test]
async fn rule_commit_once_when_the_answer_to_a_commit_never_comes() {
    let env = TestEnv::start().await;
    let (proxy, far) = far_database(&env).await;
    let lock = wait_for_lock(&env, "deferred").await;
    let replica = env.replica_with(far);
    env.publish_rows(rows(7, 100)).await;
    until_a_writer_waits(&env).await;
    proxy.strand();
    lock.rollback().await.unwrap();
    env.until("select count(*) from events", 100).await;
    assert_eq!(env.count("select count(*) from batches where redelivered > 0").await, 0);
    is_settled(&env, replica, 100).await;
}

#[tokio::test]
async fn a_session_that_was_forgotten_in_a_transaction_does_not_keep_its_rows_locked() {
    let env = TestEnv::start().await;
    let (proxy, far) = far_database(&env).await;
    let lock = wait_for_lock(&env, "immediate").await;
    let replica = env.replica_with(far);
    env.publish_rows(rows(7, 100)).await;
    until_a_writer_waits(&env).await;
    proxy.strand();
    lock.rollback().await.unwrap();
    env.until("select count(*) from events", 100).await;
    is_settled(&env, replica, 100).await;
}

#[tokio::test]
async fn a_batch_that_waits_longer_than_answer_timeout_is_told_and_not_begun_again() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (_proxy, far) = far_database(&env).await;
    let lock = wait_for_lock(&env, "immediate").await;
    let replica = env.replica_with(far);
    env.publish_rows(rows(7, 10)).await;
    until_a_writer_waits(&env).await;
    until("it is logged", async || !log.lines("WARN PostgreSQL is in trouble").is_empty()).await;
    assert!(log.lines("WARN")[0].contains("Lock: advisory"), "{:#?}", log.lines(""));
    lock.rollback().await.unwrap();
    env.until("select count(*) from events", 10).await;
    until("it is logged", async || !log.lines("INFO PostgreSQL is back").is_empty()).await;
    assert_eq!(log.lines("WARN").len(), 1, "{:#?}", log.lines(""));
    is_settled(&env, replica, 10).await;
}

#[tokio::test]
async fn a_batch_that_takes_long_over_a_slow_link_is_not_begun_again() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, far) = far_database(&env).await;
    let replica = env.replica_with(|config| {
        far(config);
        config.database.answer_timeout = Duration::from_secs(1);
    });
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    // Each question takes 100 ms, and finding the row that is refused takes many.
    proxy.delay(Duration::from_millis(50));
    let mut eight = rows(8, 8);
    eight[5] = eight[5].clone().with(r#""price":"-1.00""#);
    env.publish_rows(eight).await;
    env.until("select count(*) from corrupt_records", 1).await;
    proxy.mend();
    assert!(log.lines("WARN").is_empty(), "{:#?}", log.lines(""));
    is_settled(&env, replica, 107).await;
}

#[tokio::test]
async fn a_broker_whose_connections_are_cut_or_half_closed_loses_no_row() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, replica) = far_broker(&env).await;
    let faults: [fn(&Proxy); 3] =
        [Proxy::cut, |proxy| proxy.half_close(Way::ToServer), |proxy| proxy.half_close(Way::ToClient)];
    for (number, fault) in (1..).zip(faults) {
        // Rows that had arrived flow also without a connection, and then there would be none to strike.
        until_each_trouble_is_over(&log).await;
        let before = replica.progress.events();
        env.publish_rows(rows(number, 5_000)).await;
        until("rows flow", async || replica.progress.events() > before + 500).await;
        // One fault may cost more than one connection, where it strikes the next one too.
        let losses = log.lines(LOST).len();
        fault(&proxy);
        until("it is logged", async || log.lines(LOST).len() > losses).await;
        proxy.mend();
    }
    env.until("select count(*) from events", 15_000).await;
    until_each_trouble_is_over(&log).await;
    is_settled(&env, replica, 15_000).await;
}

#[tokio::test]
async fn a_broker_that_goes_silent_is_noticed_and_left() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, replica) = far_broker(&env).await;
    env.publish_rows(rows(7, 5_000)).await;
    until("rows flow", async || replica.progress.events() > 500).await;
    proxy.strand();
    env.until("select count(*) from events", 5_000).await;
    until("all that began has ended", async || ended(&log) == log.lines("WARN").len()).await;
    assert_eq!(log.lines("WARN connection to nats-server lost").len(), 1, "{:#?}", log.lines(""));
    is_settled(&env, replica, 5_000).await;
}

#[tokio::test]
async fn a_broker_that_does_not_hear_is_noticed_and_nothing_is_lost_when_it_hears_again() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, replica) = far_broker(&env).await;
    // More than was asked for when it stops to hear: an open request is answered with heartbeats for 30 s.
    env.publish_rows(rows(7, 20_000)).await;
    until("rows flow", async || replica.progress.events() > 500).await;
    // Neither requests for more nor acknowledgements arrive.
    proxy.hold(Way::ToServer);
    until("it is logged", async || !log.lines("WARN").is_empty()).await;
    proxy.mend();
    env.until("select count(*) from events", 20_000).await;
    until("all that began has ended", async || ended(&log) == log.lines("WARN").len()).await;
    is_settled(&env, replica, 20_000).await;
}
