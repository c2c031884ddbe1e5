//! Wires the stages of one replica and watches over them.

use std::sync::Arc;

use common::config::Config;
use common::nats::{self, Nats};
use common::{Clock, Shutdown, fault};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::batch::{Batches, Queue};
use crate::connect::{self, Database};
use crate::decode::{self, NewerVersion};
use crate::fetch::{Fetch, Position};
use crate::going_back::{self, WhenGoneBack};
use crate::progress::Progress;
use crate::session::Session;
use crate::verdict::{self, Verdict};
use crate::write::{Committed, Purpose, Writer};
use crate::{Counts, ack, batch, close, fetch, migrate, write};

/// Committed batches that wait to be acknowledged.
const UNACKNOWLEDGED: usize = 8;

/// Why a replica ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or used.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// Its schema is not what this build needs.
    #[error(transparent)]
    Schema(#[from] migrate::Error),
    /// It lacks what was acknowledged.
    #[error(transparent)]
    GoneBack(#[from] going_back::Error),
    /// This run could not be numbered.
    #[error("failed to take a number for this run")]
    Run(#[from] sqlx::Error),
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
/// Where the database lacks what was acknowledged before, `when_gone_back` says whether it starts at all.
///
/// When `shutdown` stops, or a stage fails, everything ends where it is; what was not acknowledged is delivered
/// again.
pub async fn run(
    config: &Config,
    progress: Arc<Progress>,
    when_gone_back: WhenGoneBack,
    shutdown: Shutdown,
) -> Result<Counts, Error> {
    let config = Arc::new(config.clone());
    let clock = Clock::System;
    let replica = replica(&config);
    let health = progress.health();
    let has_database = health.need("database");
    let database = Database::of(&config.database)?;
    let nats = nats::connect(&config.nats, &format!("consumer {replica}"), &shutdown).await?;
    let connection = nats.clone();
    health.require("nats", move || connection.is_connected());
    let fetch = Fetch::start(nats.clone(), Arc::clone(&config), clock, health, &shutdown).await?;
    let acknowledged = match when_gone_back {
        WhenGoneBack::Refuse => Some(fetch.acknowledged()),
        WhenGoneBack::GoOn => None,
    };
    let run = begin_run(&database, acknowledged, &shutdown).await?;
    tracing::info!(%replica, run, writers = config.consumer.writers, "consuming");

    let mut stages = JoinSet::new();
    let (queue, batches) = batch::queue(&config.batch, config.consumer.writers, run);
    let (committed, to_acknowledge) = mpsc::channel(UNACKNOWLEDGED);
    let (nudge, nudges) = close::nudges();
    stages.spawn(take_in(fetch, queue, shutdown.clone()));
    for _ in 0..config.consumer.writers {
        let writer =
            Writer::new(database.clone(), Arc::clone(&replica), Purpose::Live, clock, Arc::clone(&progress));
        stages.spawn(write_out(writer, batches.clone(), committed.clone(), nudge.clone(), shutdown.clone()));
    }
    // Each stage ends when the one before it has: the last senders are the writers'.
    drop((batches, committed, nudge));
    stages.spawn(acknowledge(nats.clone(), to_acknowledge));
    let signs = close::Signs { pulse: health.pulse("close", close::TURN), has_database };
    stages.spawn(close_files(nats, database, nudges, signs));
    supervise(stages, &shutdown).await
}

/// fetch -> decode -> the queue.
async fn take_in(mut fetch: Fetch, queue: Queue, shutdown: Shutdown) -> Result<Counts, Error> {
    while let Some(message) = fetch.next(&shutdown).await? {
        let delivery = decode::decode(message)?;
        fault::point("after_fetch");
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
        nudge.committed(done.files.iter().copied());
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

async fn close_files(
    nats: Nats,
    database: Database,
    nudges: close::Nudges,
    signs: close::Signs,
) -> Result<Counts, Error> {
    close::run(nats, database, nudges, signs).await?;
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

/// Checks the schema, and that the database knows of what was `acknowledged`; takes this run's number, from which
/// batches get their ids.
async fn begin_run(
    database: &Database,
    acknowledged: Option<Position>,
    shutdown: &Shutdown,
) -> Result<i64, Error> {
    let verdict = |error: &Error| match error {
        Error::Connect(error) => error.verdict(),
        Error::GoneBack(error) => error.verdict(),
        Error::Run(source) | Error::Schema(migrate::Error::Version(source)) => verdict::of(source),
        _ => Verdict::Stop,
    };
    let attempt = || async {
        let Session { mut connection, backend } = database.session(None).await?;
        let run = async {
            migrate::check(&mut connection).await?;
            if let Some(acknowledged) = acknowledged {
                going_back::refuse(&mut connection, acknowledged).await?;
            }
            let run = sqlx::query_scalar(include_str!("../../sql/next_run.sql"));
            run.fetch_one(&mut connection).await.map_err(Error::Run)
        };
        database.watch(backend, run).await
    };
    database.retry(shutdown, verdict, attempt).await
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
