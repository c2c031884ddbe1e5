//! What a test stands on: services of its own, messages to publish, tables to look at.

use std::sync::Arc;

use async_nats::jetstream::{self, stream::Stream};
use common::config::Config;
use common::event::Reason;
use common::wire::{Bytes64, FileMessage, FileState, RejectMessage, VERSION};
use common::{FileId, Shutdown, stream};
use consumer::{Counts, Error, Progress};
use ledger::rollback::OnRollback;
use sandbox::testing::ended;
pub(crate) use sandbox::testing::until;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// When every test row happened.
const TIMESTAMP: &str = "2024-03-13T10:21:14Z";

pub(crate) struct TestEnv {
    pub(crate) config: Config,
    pub(crate) url: SecretString,
    pub(crate) pool: PgPool,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) stream: Stream,
    _nats: Option<sandbox::Nats>,
}

/// A running replica.
pub(crate) struct Replica {
    pub(crate) progress: Arc<Progress>,
    pub(crate) shutdown: Shutdown,
    task: JoinHandle<Result<Counts, Error>>,
}

impl TestEnv {
    /// Services, schema and stream; no replica.
    pub(crate) async fn start() -> Self {
        Self::on(sandbox::testing::postgres_database().await).await
    }

    /// As [`TestEnv::start`], on a database that the test has started.
    pub(crate) async fn on(url: SecretString) -> Self {
        let nats = sandbox::testing::nats().await;
        let env = Self::at(url, nats.url()).await;
        Self { _nats: Some(nats), ..env }
    }

    /// As [`TestEnv::start`], on a database and a broker that the test has started.
    pub(crate) async fn at(url: SecretString, nats: SecretString) -> Self {
        let mut config = Config::default();
        config.nats.url = Some(nats);
        config.database.url = Some(url.clone());
        ledger::migrate(&config, &Shutdown::new()).await.unwrap();
        let jetstream =
            common::nats::connect(&config.nats, "test", &Shutdown::new()).await.unwrap().jetstream;
        let (stream, _) = stream::ensure(&jetstream, &config.stream).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(4).connect(url.expose_secret()).await.unwrap();
        Self { config, url, pool, jetstream, stream, _nats: None }
    }

    pub(crate) fn replica(&self) -> Replica {
        self.replica_with(|_| ())
    }

    pub(crate) fn replica_with(&self, change: impl FnOnce(&mut Config)) -> Replica {
        let mut config = self.config.clone();
        change(&mut config);
        replica_of(config, OnRollback::Refuse)
    }

    pub(crate) async fn publish(&self, subject: impl Into<String>, body: impl Into<String>) {
        let subject: String = subject.into();
        self.jetstream.publish(subject, body.into().into()).await.unwrap().await.unwrap();
    }

    /// Publishes them in windows: the client allows only so many messages without an acknowledgement.
    pub(crate) async fn publish_rows(&self, rows: impl IntoIterator<Item = Row>) {
        let rows: Vec<_> = rows.into_iter().collect();
        for window in rows.chunks(1_000) {
            let mut acks = Vec::with_capacity(window.len());
            for row in window {
                acks.push(self.jetstream.publish("events.view", row.body().into()).await.unwrap());
            }
            for ack in acks {
                ack.await.unwrap();
            }
        }
    }

    pub(crate) async fn publish_account(&self, account: &FileMessage) {
        self.publish(stream::FILE, serde_json::to_string(account).unwrap()).await;
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until `query` gives `expected`.
    pub(crate) async fn until(&self, query: &'static str, expected: i64) {
        until(query, async || self.count(query).await == expected).await;
    }

    /// Lets a replica consume what there is, until there are so many events.
    pub(crate) async fn consume(&self, events: i64) {
        let replica = self.replica();
        self.until("select count(*) from events", events).await;
        self.until_acknowledged().await;
        replica.drain().await;
    }

    /// Waits until the stream has no message that is not acknowledged.
    pub(crate) async fn until_acknowledged(&self) {
        until("everything is acknowledged", async || self.unread().await == (0, 0)).await;
    }

    /// Ends every connection of consumers to the database; how many there were.
    pub(crate) async fn end_connections(&self) -> i64 {
        self.count(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and application_name = 'millrace consumer'",
        )
        .await
    }

    /// Messages that were delivered and not acknowledged, and those that were not delivered yet.
    pub(crate) async fn unread(&self) -> (usize, u64) {
        let info = self.stream.consumer_info(stream::DURABLE).await.unwrap();
        (info.num_ack_pending, info.num_pending)
    }
}

/// A replica of its own configuration.
pub(crate) fn replica_of(config: Config, on_rollback: OnRollback) -> Replica {
    let (progress, shutdown) = (Arc::new(Progress::new()), Shutdown::new());
    let (its_progress, its_shutdown) = (Arc::clone(&progress), shutdown.clone());
    let task =
        tokio::spawn(async move { consumer::run(&config, its_progress, on_rollback, its_shutdown).await });
    Replica { progress, shutdown, task }
}

impl Replica {
    pub(crate) async fn drain(self) -> Counts {
        self.shutdown.drain();
        self.end().await.unwrap()
    }

    /// Waits for it to end.
    pub(crate) async fn end(self) -> Result<Counts, Error> {
        ended("the replica ends", self.task).await.expect("it does not panic")
    }
}

/// One message on its way to `events`.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) file: i64,
    pub(crate) number: i64,
    pub(crate) event: u128,
    /// More members of the JSON object, such as `,"price":"1.00"`.
    pub(crate) more: String,
}

pub(crate) fn row(file: i64, number: i64, event: u128) -> Row {
    Row { file, number, event, more: String::new() }
}

/// Rows 1 to `count` of `file`, with event ids of their own.
pub(crate) fn rows(file: i64, count: i64) -> Vec<Row> {
    let event = |number: i64| u128::from(file.unsigned_abs()) << 64 | u128::from(number.unsigned_abs());
    (1..=count).map(|number| row(file, number, event(number))).collect()
}

impl Row {
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.more = format!(",{more}");
        self
    }

    pub(crate) fn body(&self) -> String {
        let Self { file, number, event, more } = self;
        let event = Uuid::from_u128(*event);
        format!(
            r#"{{"v":1,"file_id":{file},"row":{number},"written_us":1700000000000000,"event_id":"{event}","event_type":"view","event_timestamp":"{TIMESTAMP}"{more}}}"#
        )
    }
}

/// A rejected row as the producer sends it.
pub(crate) fn reject(file: i64, row: i64) -> String {
    let reject = RejectMessage {
        replaces: None,
        v: VERSION,
        file_id: FileId::from(file),
        row,
        written_us: 0,
        byte_start: 0,
        byte_end: 1,
        reason: Reason::MessageTooLarge,
        message: "too large".to_owned(),
        column: None,
        value: None,
        raw: Bytes64(b"x".to_vec()),
        truncated: true,
    };
    serde_json::to_string(&reject).unwrap()
}

/// The account of a file that was read to its end.
pub(crate) fn finished(file: i64, revision: i64, rows_read: i64) -> FileMessage {
    FileMessage {
        header: Vec::new(),
        delimiter: None,
        v: VERSION,
        file_id: FileId::from(file),
        revision,
        path: format!("landing/{file}.csv"),
        source: "built-in".to_owned(),
        bytes: 1,
        state: FileState::Finished,
        rows_read,
        published: rows_read,
        rejected: 0,
    }
}
