//! A broker that forgets, goes back, or is not ready.

use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, Utc};
use common::stream;
use sandbox::testing::{Log, Proxy};

use crate::broker::Broker;
use crate::test_env::{TestEnv, rows, until};

impl TestEnv {
    /// What a tailer does at each connection, before it publishes.
    async fn ensure_stream(&mut self) -> DateTime<Utc> {
        until("JetStream is ready", async || self.jetstream.query_account().await.is_ok()).await;
        let (stream, incarnation) = stream::ensure(&self.jetstream, &self.config.stream).await.unwrap();
        self.stream = stream;
        incarnation.created.trunc_subsecs(6)
    }

    async fn is_whole(&self, events: i64) {
        self.until("select count(*) from events", events).await;
        self.until_acknowledged().await;
        assert_eq!(self.count("select count(*) from duplicates").await, 0);
        assert_eq!(self.count("select sum(events) from batch_files").await, events);
    }

    /// The life of the stream under which the newest batch is recorded.
    async fn newest_incarnation(&self) -> DateTime<Utc> {
        let newest = "select stream_created from batches order by committed_at desc limit 1";
        sqlx::query_scalar(newest).fetch_one(&self.pool).await.unwrap()
    }
}

/// The stream has lost its second hundred messages, which the durable had delivered and seen acknowledged.
async fn stream_that_lost_its_end(broker: &mut Broker) -> TestEnv {
    let env = TestEnv::at(sandbox::testing::postgres_database().await, broker.url.clone()).await;
    env.publish_rows(rows(7, 100)).await;
    env.consume(100).await;
    broker.stop().await;
    let copy = broker.copy(&broker.messages());
    broker.start_again().await;
    until("JetStream is ready", async || env.jetstream.query_account().await.is_ok()).await;
    env.publish_rows(rows(8, 100)).await;
    env.consume(200).await;
    broker.stop().await;
    Broker::put_back(&copy, &broker.messages());
    env
}

#[tokio::test]
async fn rule_durable_is_not_ahead() {
    durable_is_not_ahead(Broker::start().await).await;
}

/// nats-server 2.14 and newer mends such a durable by itself when it starts; an older one leaves that to us.
#[tokio::test]
async fn rule_durable_is_not_ahead_on_the_oldest_nats_server() {
    durable_is_not_ahead(Broker::start_oldest().await).await;
}

async fn durable_is_not_ahead(mut broker: Broker) {
    let mut env = stream_that_lost_its_end(&mut broker).await;
    broker.start_again().await;
    // So many that the durable is not ahead any longer when the consumer comes.
    env.ensure_stream().await;
    env.publish_rows(rows(9, 150)).await;
    let replica = env.replica();
    env.is_whole(350).await;
    replica.drain().await;
}

#[tokio::test]
async fn rule_durable_is_not_ahead_of_a_stream_that_is_put_back_under_a_running_consumer() {
    put_back_under_a_running_consumer(Broker::start().await).await;
}

#[tokio::test]
async fn rule_durable_is_not_ahead_of_a_stream_that_is_put_back_on_the_oldest_nats_server() {
    put_back_under_a_running_consumer(Broker::start_oldest().await).await;
}

async fn put_back_under_a_running_consumer(mut broker: Broker) {
    let mut env = stream_that_lost_its_end(&mut broker).await;
    broker.start_again().await;
    let replica = env.replica();
    broker.stop().await;
    broker.start_again().await;
    env.ensure_stream().await;
    env.publish_rows(rows(9, 50)).await;
    env.is_whole(250).await;
    replica.drain().await;
}

#[tokio::test]
async fn a_store_that_is_put_back_to_an_older_copy_is_read_on() {
    let mut broker = Broker::start().await;
    let mut env = TestEnv::at(sandbox::testing::postgres_database().await, broker.url.clone()).await;
    env.publish_rows(rows(7, 100)).await;
    env.consume(100).await;
    broker.stop().await;
    let copy = broker.copy(&broker.store());
    broker.start_again().await;
    let replica = env.replica();
    env.ensure_stream().await;
    env.publish_rows(rows(8, 100)).await;
    env.is_whole(200).await;
    broker.stop().await;
    Broker::put_back(&copy, &broker.store());
    broker.start_again().await;
    env.ensure_stream().await;
    env.publish_rows(rows(8, 100)).await;
    env.publish_rows(rows(9, 50)).await;
    env.is_whole(250).await;
    replica.drain().await;
}

#[tokio::test]
async fn a_store_that_is_deleted_under_a_running_consumer_is_read_anew_at_once() {
    let log = Log::listen();
    let mut broker = Broker::start().await;
    let mut env = TestEnv::at(sandbox::testing::postgres_database().await, broker.url.clone()).await;
    let replica = env.replica();
    env.publish_rows(rows(7, 100)).await;
    env.is_whole(100).await;
    broker.stop().await;
    std::fs::remove_dir_all(broker.store()).unwrap();
    broker.start_again().await;
    let created = env.ensure_stream().await;
    env.publish_rows(rows(8, 100)).await;
    let published = Instant::now();
    env.is_whole(200).await;
    assert!(published.elapsed() < Duration::from_secs(5), "{:?}", published.elapsed());
    assert_eq!(env.newest_incarnation().await, created);
    replica.drain().await;
    assert!(log.lines("WARN").iter().all(|line| line.contains("connection to nats-server lost")));
}

#[tokio::test]
async fn a_stream_that_others_made_anew_while_the_connection_was_lost_is_recognised() {
    let mut env = TestEnv::start().await;
    let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
    let replica = env.replica_with(|config| config.nats.url = Some(proxy.url()));
    env.publish_rows(rows(7, 100)).await;
    env.is_whole(100).await;
    proxy.cut();
    env.jetstream.delete_stream(stream::STREAM).await.unwrap();
    let created = env.ensure_stream().await;
    // Another replica makes the durable, too: to ours everything looks as before.
    env.publish_rows(rows(8, 50)).await;
    env.consume(150).await;
    env.publish_rows(rows(9, 50)).await;
    proxy.mend();
    env.is_whole(200).await;
    assert_eq!(env.newest_incarnation().await, created);
    replica.drain().await;
}

#[tokio::test]
async fn a_broker_that_is_not_ready_at_the_start_is_waited_for() {
    let log = Log::listen();
    let broker = Broker::start().await;
    let env = TestEnv::at(sandbox::testing::postgres_database().await, broker.url.clone()).await;
    env.publish_rows(rows(7, 100)).await;
    broker.reload(|config| config.replace(r#""jetstream": "enabled""#, r#""jetstream": "disabled""#));
    until("JetStream is off", async || env.jetstream.query_account().await.is_err()).await;
    let replica = env.replica();
    until("it is logged", async || !log.lines("WARN the subscription is in trouble").is_empty()).await;
    // Another one can be asked to stop while it waits.
    let other = env.replica();
    until("it is logged", async || log.lines("WARN the subscription is in trouble").len() == 2).await;
    other.shutdown.drain();
    assert!(other.end().await.is_err());

    broker.reload(|config| config.replace(r#""jetstream": "disabled""#, r#""jetstream": "enabled""#));
    env.is_whole(100).await;
    replica.drain().await;
    assert_eq!(log.lines("WARN").len(), 2, "{:#?}", log.lines(""));
    assert_eq!(log.lines("the subscription is back").len(), 1);
}

#[tokio::test]
async fn what_the_broker_does_not_permit_stops_the_consumer() {
    let broker = Broker::start().await;
    let env = TestEnv::at(sandbox::testing::postgres_database().await, broker.url.clone()).await;
    broker.reload(|config| {
        let deny = r#""users": [{ "permissions": { "publish": { "deny": "$JS.API.CONSUMER.>" } }, "#;
        let narrow = config.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(narrow.contains(r#""users": [ { "#));
        narrow.replace(r#""users": [ { "#, deny)
    });
    let asked = Instant::now();
    let error = loop {
        // Until the server has read its configuration.
        let replica = env.replica();
        replica.shutdown.drain();
        if let Err(error) = replica.end().await {
            break error.to_string();
        }
    };
    assert!(error.contains("does not allow") && error.contains("$JS.API.CONSUMER."), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(5));
}

/// Rows that wait in an open transaction of somebody else's.
async fn held_rows(env: &TestEnv, file: i64) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut transaction = env.pool.begin().await.unwrap();
    for row in rows(file, 5) {
        sqlx::query("insert into events (event_id, event_type, event_timestamp) values ($1, 'view', now())")
            .bind(uuid::Uuid::from_u128(row.event))
            .execute(&mut *transaction)
            .await
            .unwrap();
    }
    transaction
}

#[tokio::test]
async fn rule_acks_belong_to_an_incarnation() {
    let log = Log::listen();
    let mut env = TestEnv::start().await;
    let (first_life, second_life) = ([6, 7], 8);
    let held = [held_rows(&env, 6).await, held_rows(&env, 7).await];
    let held_later = held_rows(&env, second_life).await;
    let taken = async |env: &TestEnv| {
        env.stream.consumer_info(stream::DURABLE).await.is_ok_and(|info| info.num_ack_pending == 5)
    };
    // A row that is acknowledged, after which the consumer knows the stream.
    env.publish_rows(rows(5, 1)).await;
    let replica = env.replica_with(|config| {
        config.consumer.ack_wait = Duration::from_mins(2);
        config.consumer.writers = 3;
    });
    env.until("select count(*) from events", 1).await;
    env.until_acknowledged().await;
    let known = Instant::now();
    for (file, waiting) in first_life.into_iter().zip(1..) {
        env.publish_rows(rows(file, 5)).await;
        until("they are being written", async || env.count(WAITING).await == waiting).await;
    }
    env.jetstream.delete_stream(stream::STREAM).await.unwrap();
    env.ensure_stream().await;
    env.publish_rows(rows(second_life, 5)).await;
    until("those of the new stream are taken", async || taken(&env).await).await;
    until("they are being written", async || env.count(WAITING).await == 3).await;
    until("what is known of the stream is old", async || known.elapsed() > Duration::from_millis(500)).await;

    // What was read in the stream's earlier life commits; the new stream has other messages in those places.
    for rows in held {
        rows.rollback().await.unwrap();
    }
    env.until("select count(*) from events", 11).await;
    let said =
        || log.lines("stream was created again; messages of the one before are not acknowledged").len();
    until("they are passed over, or acknowledged", async || said() > 1 || !taken(&env).await).await;
    assert_eq!(env.unread().await, (5, 0), "rows that are in no table are acknowledged");
    held_later.rollback().await.unwrap();
    env.is_whole(16).await;
    replica.drain().await;
}

/// Sessions that wait for somebody else's transaction.
const WAITING: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
