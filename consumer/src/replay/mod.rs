//! Reads the stream once more, or a part of it: into the same tables, where every row is recognised, or into a table
//! of its own. What was asked for enters, a [`Report`] leaves.
//!
//! selection -> source -> write, beside live consumers: a replay has a durable of its own, which keeps what it has not
//! read from being purged, and its batches are marked, so that they stay out of the sums of files.

pub(crate) mod cli;
mod selection; // what is asked for
mod plan; // Options -> Ready, or a refusal
mod source; // messages off a durable of its own
mod table; // where rows go
mod preview; // the dry run

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::config::Config;
use common::stream::{self, STREAM};
use common::{Classify, Clock, ErrorClass, Shutdown, nats};
use ledger::batch_id::{BatchId, BatchIds, Run};

use crate::Counts;
use crate::batch::Batch;
use crate::decode::{self, NewerVersion};
use crate::progress::Progress;
use crate::write::{self, Target, Writer};
use plan::{Ready, prepare};
pub(crate) use preview::OutcomeCounts;
use preview::Preview;
use selection::Selection;
pub(crate) use selection::{Asked, When};
use source::Source;
pub(crate) use table::TableName;

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    Nats(#[from] nats::Error),
    #[error(transparent)]
    Stream(#[from] stream::Error),
    #[error(transparent)]
    Write(#[from] write::Error),
    #[error(transparent)]
    NewerVersion(#[from] NewerVersion),
    #[error("failed to {doing}")]
    Database { doing: &'static str, source: sqlx::Error },
    #[error("failed to {doing}")]
    Broker { doing: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("there is no stream {STREAM}, so there is nothing to replay")]
    NoStream,
    #[error("no message of the stream is on {subject}; it has {found}")]
    NoSuchSubject { subject: String, found: String },
    #[error("no file is known as \"{0}\"; `select path from files` names them")]
    NoSuchFile(String),
    #[error("there is nothing between the given times")]
    NoTime,
    #[error(
        "the stream holds sequences {first} to {last} of what consumers have read, so there is nothing to replay"
    )]
    Empty { first: u64, last: u64 },
    #[error("messages {from} to {to} of the stream were purged before they could be read")]
    Gap { from: u64, to: u64 },
    #[error("table {table} is there already; name another one, or drop it")]
    TableExists { table: String },
    #[error("replay {name} is running already")]
    Running { name: String },
    #[error(
        "an unfinished replay {name} is for something else; finish it with the same options, or use another --name"
    )]
    OtherOptions { name: String },
    #[error("the durable {durable} was not made by a replay; use another --name")]
    Foreign { durable: String },
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Broker { .. } => ErrorClass::Transient,
            _ => ErrorClass::Stop,
        }
    }
}

impl Error {
    fn broker(doing: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broker { doing, source: source.into() }
    }

    fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

/// How to replay.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub asked: Asked,
    pub table: Option<TableName>,
    pub name: Option<String>,
    /// Messages a second.
    pub rate: u32,
}

/// How far a replay has come.
#[derive(Debug, Default)]
pub(crate) struct ReplayProgress {
    first: AtomicU64,
    last: AtomicU64,
    read: AtomicU64,
}

impl ReplayProgress {
    /// Messages of the stream that were passed, and that there are to pass.
    pub(crate) fn passed(&self) -> (u64, u64) {
        let first = self.first.load(Relaxed);
        let of = |end: &AtomicU64| (end.load(Relaxed) + 1).saturating_sub(first);
        (of(&self.read), of(&self.last))
    }
}

/// The result of a replay.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub name: String,
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Where it went on, when it was cut before.
    pub resumed_at: Option<u64>,
    /// Messages that were asked for.
    pub messages: u64,
    pub counts: Counts,
}

/// Replays until the end of what was there when it began, or until `shutdown` drains; the next one of the same name
/// goes on from there.
pub(crate) async fn run(
    config: &Config,
    options: Options,
    position: &ReplayProgress,
    shutdown: Shutdown,
) -> Result<Report, Error> {
    let clock = Clock::System;
    let mut ready = prepare(config, &options, clock, &shutdown).await?;
    let run = Run::begin(&mut ready.session).await.map_err(Error::database("take a number for this run"))?;
    let ids = BatchIds::of(run);
    let Ready { nats, database, stream, name, selection, read, is_cut, mut session } = ready;
    let target = match &options.table {
        Some(table) => Target::Other { insert: table.insert() },
        None => Target::Tables { is_counted: false },
    };
    let mut report = report(&name, &selection, is_cut.then_some(read + 1));
    watch(position, &selection, read);
    let replica = Arc::from(format!("replay {name}"));
    let mut writer = Writer::new(database, replica, ids.clone(), target, clock, Arc::new(Progress::new()));
    let mut source = Source::new(nats, stream, Some(&name), &selection, read, clock)?;
    let mut pace = Pace::new(options.rate);
    let mut is_made = false;
    while let Some(mut chunk) = source.chunk(&shutdown).await? {
        let messages = std::mem::take(&mut chunk.messages);
        let before = report.messages;
        if let Some(batch) = batch(messages, &selection)? {
            if let Some(table) = options.table.as_ref().filter(|_| !std::mem::replace(&mut is_made, true)) {
                table::make(&mut session, table, &name).await?;
            }
            report.messages += batch.len() as u64;
            report.counts += writer.write(Batch::alone(ids.next(), batch), &shutdown).await?.counts;
        }
        position.read.store(chunk.up_to, Relaxed);
        source.done(chunk).await;
        if shutdown.is_draining() {
            return Err(Error::Stopped);
        }
        pace.keep(report.messages - before, &shutdown).await;
    }
    source.close().await;
    Ok(report)
}

/// Counts what a replay would do, and writes nothing.
pub(crate) async fn preview(
    config: &Config,
    options: Options,
    position: &ReplayProgress,
    shutdown: Shutdown,
) -> Result<(Report, Vec<OutcomeCounts>), Error> {
    let clock = Clock::System;
    let ready = prepare(config, &options, clock, &shutdown).await?;
    let Ready { nats, stream, name, selection, read, session, .. } = ready;
    let mut report = report(&name, &selection, None);
    watch(position, &selection, read);
    let mut preview = Preview::begin(session).await?;
    let mut source = Source::new(nats, stream, None, &selection, read, clock)?;
    while let Some(mut chunk) = source.chunk(&shutdown).await? {
        if let Some(deliveries) = batch(std::mem::take(&mut chunk.messages), &selection)? {
            report.messages += deliveries.len() as u64;
            preview.add(&Batch::alone(BatchId::default(), deliveries)).await?;
        }
        position.read.store(chunk.up_to, Relaxed);
        source.done(chunk).await;
        if shutdown.is_draining() {
            return Err(Error::Stopped);
        }
    }
    source.close().await;
    Ok((report, preview.outcomes(options.table.is_some()).await?))
}

/// Those of `messages` that were asked for, decoded; `None` where there are none.
fn batch(
    messages: Vec<crate::fetch::Message>,
    selection: &Selection,
) -> Result<Option<Vec<decode::Delivery>>, Error> {
    let mut deliveries = Vec::with_capacity(messages.len());
    for message in messages {
        let delivery = decode::decode(message)?;
        if selection.wants(&delivery) {
            deliveries.push(delivery);
        }
    }
    Ok((!deliveries.is_empty()).then_some(deliveries))
}

fn report(name: &str, selection: &Selection, resumed_at: Option<u64>) -> Report {
    Report {
        name: name.to_owned(),
        first_sequence: selection.first_sequence,
        last_sequence: selection.last_sequence,
        resumed_at,
        messages: 0,
        counts: Counts::default(),
    }
}

fn watch(position: &ReplayProgress, selection: &Selection, read: u64) {
    position.first.store(selection.first_sequence, Relaxed);
    position.last.store(selection.last_sequence, Relaxed);
    position.read.store(read, Relaxed);
}

/// Holds a replay back to so many messages a second, so that live rows go first.
struct Pace {
    rate: u32,
    began: Instant,
    messages: u64,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { rate, began: Instant::now(), messages: 0 }
    }

    async fn keep(&mut self, messages: u64, shutdown: &Shutdown) {
        self.messages += messages;
        let due = Duration::from_secs_f64(self.messages as f64 / f64::from(self.rate));
        let early = due.saturating_sub(self.began.elapsed());
        tokio::select! {
            () = tokio::time::sleep(early) => {}
            () = shutdown.draining() => {}
        }
    }
}
