//! Wires the stages of one replica and watches over them.

use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::health::Pulse;
use common::nats::{self, Nats};
use common::{Clock, Shutdown, fault};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::batch::{BatchIds, Batches, Queue, Run};
use crate::connect::{self, Database};
use crate::decode::{self, NewerVersion};
use crate::fetch::{Fetch, Position};
use crate::going_back::{self, WhenGoneBack};
use crate::handover::Handover;
use crate::progress::Progress;
use crate::session::Session;
use crate::verdict::{self, Verdict};
use crate::write::{Committed, Purpose, Writer};
use crate::{Counts, ack, batch, close, fetch, migrate, write};

/// Committed batches that wait to be acknowledged.
const UNACKNOWLEDGED: usize = 8;

/// For how long rows may be queued while a writer is free.
const WITHOUT_BATCH: Duration = Duration::from_mins(1);
/// How long decoding one message may take.
const DECODE: Duration = Duration::from_mins(1);
/// How long acknowledging one batch may take; the broker is asked for the stream, which may take two time-outs.
const ACK: Duration = Duration::from_mins(1);

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
    let nats =
        nats::connect_as(&config.nats, nats::User::Consumer, &format!("consumer {replica}"), &shutdown)
            .await?;
    let connection = nats.clone();
    health.require("nats", move || connection.is_connected());
    let fetch = Fetch::start(nats.clone(), Arc::clone(&config), clock, health, &shutdown).await?;
    let acknowledged = match when_gone_back {
        WhenGoneBack::Refuse => Some(fetch.acknowledged()),
        WhenGoneBack::GoOn => None,
    };
    let run = begin_run(&database, acknowledged, &shutdown).await?;
    tracing::info!(%replica, run = run.number, writers = config.consumer.writers, "consuming");

    let mut stages = JoinSet::new();
    let ids = BatchIds::of(run);
    let (queue, batches) = batch::queue(&config.batch, config.consumer.writers, ids.clone());
    let (committed, to_acknowledge) = mpsc::channel(UNACKNOWLEDGED);
    let (nudge, nudges) = close::nudges();
    let handover = Arc::new(Handover::new(
        health.pulse("batch", WITHOUT_BATCH + config.batch.linger.unwrap_or_default()),
    ));
    stages.spawn(take_in(
        fetch,
        queue,
        health.pulse("decode", DECODE),
        Arc::clone(&handover),
        shutdown.clone(),
    ));
    for _ in 0..config.consumer.writers {
        let (database, replica, progress) = (database.clone(), Arc::clone(&replica), Arc::clone(&progress));
        let writer = Writer::new(database, replica, ids.clone(), Purpose::Live, clock, progress);
        let outlets = (committed.clone(), nudge.clone());
        stages.spawn(write_out(writer, batches.clone(), outlets, Arc::clone(&handover), shutdown.clone()));
    }
    // Each stage ends when the one before it has: the last senders are the writers'.
    drop((batches, committed, nudge));
    let connection = nats.clone();
    let pulse = health.pulse_unless("ack", ACK, move || !connection.is_connected());
    stages.spawn(acknowledge(nats.clone(), to_acknowledge, pulse));
    let signs = close::Signs { pulse: health.pulse("close", close::TURN), has_database };
    stages.spawn(close_files(nats, database, nudges, signs));
    health.limit(config.health.stall_after);
    let _watch = health.watch();
    supervise(stages, &shutdown).await
}

/// fetch -> decode -> the queue.
async fn take_in(
    mut fetch: Fetch,
    queue: Queue,
    decoding: Pulse,
    handover: Arc<Handover>,
    shutdown: Shutdown,
) -> Result<Counts, Error> {
    while let Some(message) = fetch.next(&shutdown).await? {
        decoding.beat();
        fault::hang_thread("decode");
        let delivery = decode::decode(message)?;
        decoding.rest();
        fault::point("after_fetch");
        handover.offered();
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
    (committed, nudge): (mpsc::Sender<Committed>, close::Nudge),
    handover: Arc<Handover>,
    shutdown: Shutdown,
) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    loop {
        handover.waits();
        fault::hang("batch").await;
        let Some(batch) = batches.next(&shutdown).await else { break };
        handover.taken(batch.messages);
        let done = writer.write(batch, &shutdown).await?;
        counts += done.counts;
        nudge.committed(done.files.iter().copied());
        if committed.send(done).await.is_err() {
            break;
        }
    }
    Ok(counts)
}

async fn acknowledge(
    nats: Nats,
    committed: mpsc::Receiver<Committed>,
    pulse: Pulse,
) -> Result<Counts, Error> {
    ack::run(nats, committed, pulse).await;
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
) -> Result<Run, Error> {
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
            Run::begin(&mut connection).await.map_err(Error::Run)
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
