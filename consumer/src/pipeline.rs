//! Wires the stages of one replica and watches over them.

use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::nats::{self, Nats};
use common::{Clock, Shutdown};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::batch::{Batches, Queue};
use crate::connect::{self, Database};
use crate::decode::{self, NewerVersion};
use crate::fetch::Fetch;
use crate::progress::Progress;
use crate::verdict::{self, Verdict};
use crate::write::{Committed, Writer};
use crate::{Counts, ack, batch, close, fetch, migrate, write};

/// Committed batches that wait to be acknowledged.
const UNACKNOWLEDGED: usize = 8;
/// The pause before a start that failed is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Why a replica ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or used.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// Its schema is not what this build needs.
    #[error(transparent)]
    Schema(#[from] migrate::Error),
    /// This run could not be numbered.
    #[error("failed to take a number for this run")]
    Run(#[source] sqlx::Error),
    /// The broker cannot be reached or used.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The stream cannot be read.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// A message is for a newer consumer.
    #[error(transparent)]
    NewerVersion(#[from] NewerVersion),
    /// Rows cannot be written.
    #[error(transparent)]
    Write(#[from] write::Error),
    /// Files cannot be closed.
    #[error(transparent)]
    Close(#[from] close::Error),
    /// A stage panicked.
    #[error("a stage of the consumer panicked")]
    Panic(#[source] tokio::task::JoinError),
}

/// Runs one replica until `shutdown` drains, and gives what it did. What it holds when it drains is still written.
///
/// When `shutdown` stops, or a stage fails, everything ends where it is; what was not acknowledged is delivered
/// again.
pub async fn run(config: &Config, progress: Arc<Progress>, shutdown: Shutdown) -> Result<Counts, Error> {
    let config = Arc::new(config.clone());
    let clock = Clock::System;
    let replica = replica(&config);
    let database = Database::of(&config.database)?;
    let nats = nats::connect(&config.nats, &format!("consumer {replica}"), &shutdown).await?;
    let run = begin_run(&database, &shutdown).await?;
    let fetch = Fetch::start(nats.clone(), Arc::clone(&config), clock).await?;
    tracing::info!(%replica, run, writers = config.consumer.writers, "consuming");

    let mut stages = JoinSet::new();
    let (queue, batches) = batch::queue(&config.batch, config.consumer.writers, run);
    let (committed, to_acknowledge) = mpsc::channel(UNACKNOWLEDGED);
    let (nudge, nudges) = close::nudges();
    stages.spawn(take_in(fetch, queue, shutdown.clone()));
    for _ in 0..config.consumer.writers {
        let writer = Writer::new(database.clone(), Arc::clone(&replica), clock, Arc::clone(&progress));
        stages.spawn(write_out(writer, batches.clone(), committed.clone(), nudge.clone(), shutdown.clone()));
    }
    // Each stage ends when the one before it has: the last senders are the writers'.
    drop((batches, committed, nudge));
    stages.spawn(acknowledge(nats.clone(), to_acknowledge));
    stages.spawn(close_files(nats, database, nudges));
    supervise(stages, &shutdown).await
}

/// fetch -> decode -> the queue.
async fn take_in(mut fetch: Fetch, queue: Queue, shutdown: Shutdown) -> Result<Counts, Error> {
    while let Some(message) = fetch.next(&shutdown).await {
        let delivery = decode::decode(message)?;
        if !queue.put(delivery).await {
            break;
        }
    }
    Ok(Counts::default())
}

/// The queue -> write -> ack and close.
async fn write_out(
    mut writer: Writer,
    batches: Batches,
    committed: mpsc::Sender<Committed>,
    nudge: close::Nudge,
    shutdown: Shutdown,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    while let Some(batch) = batches.next(&shutdown).await {
        let done = writer.write(batch, &shutdown).await?;
        counts += done.counts;
        // A full channel holds a nudge already.
        let _ = nudge.try_send(());
        if committed.send(done).await.is_err() {
            break;
        }
    }
    Ok(counts)
}

async fn acknowledge(nats: Nats, committed: mpsc::Receiver<Committed>) -> Result<Counts, Error> {
    ack::run(nats, committed).await;
    Ok(Counts::default())
}

async fn close_files(nats: Nats, database: Database, nudges: mpsc::Receiver<()>) -> Result<Counts, Error> {
    close::run(nats, database, nudges).await?;
    Ok(Counts::default())
}

/// Waits for all stages; the first that fails ends the others.
async fn supervise(mut stages: JoinSet<Result<Counts, Error>>, shutdown: &Shutdown) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    loop {
        let ended = tokio::select! {
            ended = stages.join_next() => ended,
            () = shutdown.stopped() => None,
        };
        match ended {
            // Dropping the set ends what is left.
            None => return Ok(counts),
            Some(stage) => counts += stage.map_err(Error::Panic)??,
        }
    }
}

/// Checks the schema and takes this run's number, from which batches get their ids.
async fn begin_run(database: &Database, shutdown: &Shutdown) -> Result<i64, Error> {
    loop {
        let mut connection = database.connect_in_time(shutdown).await?;
        let run = async {
            migrate::check(&mut connection).await?;
            let run = sqlx::query_scalar(include_str!("../../sql/next_run.sql"));
            run.fetch_one(&mut connection).await.map_err(Error::Run)
        };
        match run.await {
            Err(Error::Run(source) | Error::Schema(migrate::Error::Version(source)))
                if verdict::of(&source) == Verdict::Retry =>
            {
                database.outage.failed(&source);
                tokio::time::sleep(RETRY).await;
            }
            done => return done,
        }
    }
}

/// The configured name, or one that tells this process from others.
fn replica(config: &Config) -> Arc<str> {
    let host =
        || hostname::get().map_or_else(|_| "consumer".to_owned(), |name| name.to_string_lossy().into_owned());
    match &config.consumer.replica {
        Some(name) => name.as_str().into(),
        None => format!("{}-{}", host(), std::process::id()).into(),
    }
}
