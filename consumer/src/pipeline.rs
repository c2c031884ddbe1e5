//! Wires the stages of one replica and supervises them.

use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::health::Pulse;
use common::nats::{self, Nats};
use common::stream::StreamPosition;
use common::{Classify, Clock, ErrorClass, Shutdown, fault};
use ledger::batch_id::{BatchIds, Run};
use ledger::rollback::{self, OnRollback, Rollback};
use ledger::{Database, Session, check_schema, classify};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::batch::{Batches, Queue};
use crate::decode::{self, NewerVersion};
use crate::fetch::Fetch;
use crate::handover::Handover;
use crate::progress::Progress;
use crate::write::{Committed, Target, Writer};
use crate::{Counts, ack, batch, close, fetch, write};

/// Committed batches that wait to be acknowledged.
const UNACKNOWLEDGED: usize = 8;

/// For how long rows may be queued while a writer is free.
const WITHOUT_BATCH: Duration = Duration::from_mins(1);
/// How long decoding one message may take.
const DECODE: Duration = Duration::from_mins(1);
/// How long acknowledging one batch may take; the broker is asked for the stream, which may take two time-outs.
const ACK: Duration = Duration::from_mins(1);

/// Why a replica ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached or used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The database lacks what was acknowledged.
    #[error(transparent)]
    Rollback(#[from] Rollback),
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

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Ledger(error) => error.class(),
            Self::Rollback(error) => error.class(),
            Self::Run(source) => classify(source),
            _ => ErrorClass::Stop,
        }
    }
}

/// Runs one replica until `shutdown` drains, and returns its counts. What it holds by then is still written.
/// Where the database lacks what was acknowledged before, `on_rollback` decides whether it starts.
///
/// When `shutdown` stops, or a stage fails, everything ends where it is; what was not acknowledged is delivered
/// again.
pub async fn run(
    config: &Config,
    progress: Arc<Progress>,
    on_rollback: OnRollback,
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
    let acknowledged = match on_rollback {
        OnRollback::Refuse => Some(fetch.acknowledged()),
        OnRollback::Continue => None,
    };
    let run = begin_run(&database, acknowledged, &shutdown).await?;
    tracing::info!(%replica, run = run.number, writers = config.consumer.writers, "consuming");

    let mut stages = JoinSet::new();
    let ids = BatchIds::of(run);
    let (queue, batches) = batch::queue(&config.batch, config.consumer.writers, ids.clone());
    let (committed, to_acknowledge) = mpsc::channel(UNACKNOWLEDGED);
    let (notifier, notifications) = close::commit_notifications();
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
        let target = Target::Tables { is_counted: true };
        let writer = Writer::new(database, replica, ids.clone(), target, clock, progress);
        let outlets = (committed.clone(), notifier.clone());
        stages.spawn(write_out(writer, batches.clone(), outlets, Arc::clone(&handover), shutdown.clone()));
    }
    // Each stage ends when the one before it has: the last senders are the writers'.
    drop((batches, committed, notifier));
    let connection = nats.clone();
    let pulse = health.pulse_unless("ack", ACK, move || !connection.is_connected());
    stages.spawn(acknowledge(nats.clone(), to_acknowledge, pulse));
    let reports = close::Reports { pulse: health.pulse("close", close::TURN), has_database };
    stages.spawn(close_files(nats, database, notifications, reports));
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
    (committed, notifier): (mpsc::Sender<Committed>, close::CommitNotifier),
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
        notifier.committed(done.files.iter().copied());
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
    notifications: close::CommitNotifications,
    reports: close::Reports,
) -> Result<Counts, Error> {
    close::run(nats, database, notifications, reports).await?;
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

/// Checks the schema, and that the database has what was `acknowledged`; takes this run's number, from which batches get
/// their ids.
async fn begin_run(
    database: &Database,
    acknowledged: Option<StreamPosition>,
    shutdown: &Shutdown,
) -> Result<Run, Error> {
    let attempt = || async {
        let Session { mut connection, backend } = database.session(None).await?;
        let run = async {
            check_schema(&mut connection).await?;
            if let Some(acknowledged) = acknowledged {
                rollback::check_acknowledged(&mut connection, acknowledged).await?;
            }
            Run::begin(&mut connection).await.map_err(Error::Run)
        };
        database.watch(backend, run).await
    };
    database.retry(shutdown, attempt).await
}

/// The configured name, or one of host and process id.
fn replica(config: &Config) -> Arc<str> {
    let host =
        || hostname::get().map_or_else(|_| "consumer".to_owned(), |name| name.to_string_lossy().into_owned());
    match &config.consumer.replica {
        Some(name) => name.as_str().into(),
        None => format!("{}-{}", host(), std::process::id()).into(),
    }
}
