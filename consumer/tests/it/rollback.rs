//! A database that has lost what it had committed.

use std::time::Duration;

use ledger::rollback::OnRollback;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::test_env::{TestEnv, replica_of, rows, until};

impl TestEnv {
    /// Takes a copy of the database as it is.
    async fn copy(&mut self) -> SecretString {
        // Nobody may be connected meanwhile.
        self.pool.close().await;
        let options: PgConnectOptions = self.url.expose_secret().parse().unwrap();
        let name = options.get_database().unwrap().to_owned();
        let mut server = options.database("postgres").connect().await.unwrap();
        let copy = format!("create database copy_of_{name} template {name}");
        until("nobody is connected", async || server.execute(copy.as_str()).await.is_ok()).await;
        let url = self.url.expose_secret();
        self.pool = PgPoolOptions::new().max_connections(4).connect(url).await.unwrap();
        url.replace(&name, &format!("copy_of_{name}")).into()
    }

    /// Goes on with another database.
    async fn use_database(&mut self, url: SecretString) {
        self.pool = PgPoolOptions::new().max_connections(4).connect(url.expose_secret()).await.unwrap();
        self.config.database.url = Some(url.clone());
        self.url = url;
    }
}

#[tokio::test]
async fn rule_going_back_is_noticed() {
    let mut env = TestEnv::start().await;
    env.publish_rows(rows(7, 100)).await;
    env.consume(100).await;
    let backup = env.copy().await;
    env.publish_rows(rows(8, 50)).await;
    env.consume(150).await;

    env.use_database(backup).await;
    env.publish_rows(rows(9, 3)).await;
    let ended = env.process(1_000).end().await;
    let expected = "error: the database has gone back: it has what was committed up to message 100 of stream EVENTS, \
                    but messages up to 150 were acknowledged; run `millrace heal`";
    assert_eq!((ended.code, ended.err.trim_end().lines().last()), (Some(1), Some(expected)));
    assert_eq!(env.unread().await, (0, 3));
    assert_eq!(env.count("select count(*) from events").await, 100);

    // Whoever publishes again what is missing lets a replica go on, and with its first batch the others may, too.
    env.publish_rows(rows(8, 50)).await;
    let healing = replica_of(env.config.clone(), OnRollback::Continue);
    env.until("select count(*) from events", 153).await;
    env.until_acknowledged().await;
    healing.drain().await;
    env.publish_rows(rows(10, 10)).await;
    env.consume(163).await;
    assert_eq!(env.count("select count(*) from duplicates").await, 0);
}

#[tokio::test]
async fn rule_going_back_is_noticed_when_the_database_was_emptied() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 100)).await;
    env.consume(100).await;
    env.pool.execute("truncate events, batches, batch_files").await.unwrap();
    let error = env.replica().end().await.unwrap_err().to_string();
    assert!(error.contains("up to message 0 of stream EVENTS"), "{error}");
}

#[tokio::test]
async fn rule_going_back_is_noticed_and_nothing_else_is_taken_for_it() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 100)).await;
    env.consume(100).await;
    // A new stream has batches of its own, and a new durable has acknowledged nothing of what was purged.
    env.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    common::stream::ensure(&env.jetstream, &env.config.stream).await.unwrap();
    env.publish_rows(rows(8, 100)).await;
    env.stream.purge().await.unwrap();
    env.publish_rows(rows(9, 10)).await;
    env.consume(110).await;
    env.consume(110).await;
}

#[tokio::test]
async fn rule_going_back_is_noticed_under_a_running_consumer() {
    let env = TestEnv::start().await;
    let replica = env.replica_with(|config| config.consumer.ack_wait = Duration::from_mins(1));
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    env.until_acknowledged().await;
    // The server fails over to a replica that had not heard of the last commits.
    env.pool.execute("truncate events, batches, batch_files").await.unwrap();
    env.end_connections().await;
    env.publish_rows(rows(8, 50)).await;
    let error = replica.end().await.unwrap_err().to_string();
    assert!(error.contains("had committed and is not there any more; run `millrace heal`"), "{error}");
    assert_eq!(env.count("select count(*) from events").await, 0);
    assert_eq!(env.unread().await, (50, 0));
}
