//! Puts batches into the database, each in one transaction: a [`Batch`] enters, [`Committed`] leaves.
//!
//! Two paths: `direct_copy` copies rows into `events`, which fails as a whole when one of them is there already or is
//! refused; `staged_copy` decides row by row, through a temporary table. `record` completes both with rejected rows,
//! totals of files and the record of the batch.

mod committed;
mod path_selector;

mod transaction; // one attempt
mod copy;
mod direct_copy;
mod staged_copy;
mod refused;
mod record;
mod counts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::health::Pulse;
use common::{Backoff, Classify, Clock, ErrorClass, Shutdown, fault};
use ledger::batch_id::{BatchIds, Run};
use ledger::rollback::{self, Rollback};
use ledger::{Backend, Database, Refusal, Session, classify, refusal};

use crate::batch::Batch;
use crate::progress::Progress;
pub(crate) use committed::Committed;
pub(crate) use copy::{INCOMING, copy};
use path_selector::{Path, PathSelector};
use transaction::Attempt;

/// How long one attempt may take; a table may be locked meanwhile, or a connection be lost without notice.
const ATTEMPT: Duration = Duration::from_mins(10);

/// Why a batch cannot be written. Nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to write a batch")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// An earlier batch is missing.
    #[error(transparent)]
    Rollback(#[from] Rollback),
    /// So many bad rows have one cause, and that is not the rows.
    #[error("PostgreSQL refuses more than half of a batch of {rows} rows, one of them because: {example}")]
    MostlyRefused {
        rows: usize,
        /// Why the last row was refused.
        example: String,
    },
    /// Asked to stop while the database was away.
    #[error("stopped before the database was back")]
    Stopped,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => classify(error),
            Self::Ledger(error) => error.class(),
            Self::Rollback(error) => error.class(),
            Self::MostlyRefused { .. } | Self::Stopped => ErrorClass::Stop,
        }
    }
}

impl Error {
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Database(error) | Self::Rollback(Rollback::Database(error)) => refusal(error),
            _ => None,
        }
    }
}

/// Where rows go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Into the tables of the schema. `is_counted` says whether they are added to the totals of files; rows that were
    /// written before are not.
    Tables { is_counted: bool },
    /// Only events, and only by this statement, which inserts new rows of the temporary table somewhere else.
    Other { insert: String },
}

/// What earlier attempts to write a batch have shown.
#[derive(Debug, Default)]
struct Earlier {
    /// The outcome of one is unearlier.
    may_have_committed: bool,
    /// A batch of its number is recorded: the same one, or another.
    number_is_taken: bool,
    /// `record_id` gives numbers that are used.
    record_ids_are_taken: bool,
}

/// One connection that writes, made anew whenever it breaks.
#[derive(Debug)]
pub(crate) struct Writer {
    database: Database,
    session: Option<Session>,
    /// Of a session that broke, which the server may not have noticed yet.
    lost: Option<Backend>,
    path_selector: PathSelector,
    replica: Arc<str>,
    ids: BatchIds,
    target: Target,
    clock: Clock,
    progress: Arc<Progress>,
    pulse: Pulse,
}

impl Writer {
    /// Connects with the first batch. `replica` is its name in `batches`, and `ids` are those of its batches.
    pub(crate) fn new(
        database: Database,
        replica: Arc<str>,
        ids: BatchIds,
        target: Target,
        clock: Clock,
        progress: Arc<Progress>,
    ) -> Self {
        let pulse = progress.health().pulse("write", ATTEMPT);
        let path_selector = PathSelector::default();
        Self {
            database,
            session: None,
            lost: None,
            path_selector,
            replica,
            ids,
            target,
            clock,
            progress,
            pulse,
        }
    }

    /// Writes `batch`, however long the database is away. Only a fault that needs a person, or `shutdown` when it
    /// stops, is an error.
    pub(crate) async fn write(&mut self, mut batch: Batch, shutdown: &Shutdown) -> Result<Committed, Error> {
        let began_us = self.clock.micros();
        let mut path = match self.target {
            Target::Tables { .. } => self.path_selector.path(),
            Target::Other { .. } => Path::Staged,
        };
        let mut backoff = Backoff::new(batch.id.number.unsigned_abs());
        let mut earlier = Earlier::default();
        loop {
            self.pulse.beat();
            fault::hang("write").await;
            let tried = Instant::now();
            let error = match self.attempt(&mut batch, path, &mut earlier, began_us).await {
                Ok(Attempt::Committed(counts)) => {
                    self.database.outage.succeeded_after(tried);
                    self.path_selector.record(counts.has_conflicts());
                    self.database.last_commit.set(batch.id);
                    self.pulse.rest();
                    return Ok(Committed::new(batch, &counts, self.clock, &self.progress));
                }
                Ok(Attempt::SettledBefore) => {
                    path = Path::Staged;
                    continue;
                }
                Err(error) => error,
            };
            match error.refusal() {
                Some(Refusal::Conflict | Refusal::BadData | Refusal::TooLarge) if path == Path::Direct => {
                    path = Path::Staged;
                }
                Some(Refusal::BatchTaken) => earlier.number_is_taken = true,
                Some(Refusal::RecordTaken) => earlier.record_ids_are_taken = true,
                None if error.class() == ErrorClass::Transient => {
                    earlier.may_have_committed = true;
                    self.lost = self.session.take().map(|session| session.backend).or(self.lost);
                    self.database.outage.failed(&error);
                    if !backoff.wait(shutdown.stopped()).await {
                        return Err(Error::Stopped);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &mut Batch,
        path: Path,
        earlier: &mut Earlier,
        began_us: i64,
    ) -> Result<Attempt, Error> {
        let unseen = if self.session.is_none() { self.database.last_commit.get() } else { None };
        let Session { connection, backend } = match &mut self.session {
            Some(session) => session,
            none => none.insert(self.database.session(self.lost).await?),
        };
        self.lost = None;
        let work = async {
            if let Some(last) = unseen {
                rollback::check_batch(connection, last).await?;
            }
            if (earlier.may_have_committed || earlier.number_is_taken)
                && let Some(counts) = record::find(connection, batch, &self.replica).await?
            {
                return Ok(Attempt::Committed(counts));
            }
            if earlier.number_is_taken {
                // By another batch: no attempt under this number can have committed.
                self.ids.change_to(Run::begin(connection).await?);
                let (taken, id) = (batch.id, self.ids.next());
                tracing::warn!(
                    taken = taken.number,
                    used = id.number,
                    "a batch number is taken by another batch, a new one is used; \
                     the sequence `runs` is behind the table `batches`"
                );
                batch.id = id;
                earlier.number_is_taken = false;
            }
            if std::mem::take(&mut earlier.record_ids_are_taken) {
                record::advance_ids(connection).await?;
            }
            let made = record::Made { replica: &self.replica, began_us, target: &self.target };
            transaction::attempt(connection, batch, path, made).await
        };
        self.database.watch(*backend, work).await
    }
}
