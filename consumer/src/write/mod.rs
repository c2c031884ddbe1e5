//! Puts batches into the database, each in one transaction: a [`Batch`] enters, [`Committed`] leaves.
//!
//! Two paths: `fast` copies rows straight into `events`, which fails as a whole when one of them is there already or
//! is refused; `careful` finds out for each row what it is. `record` completes both with the rejected rows, the
//! accounts of files and the batch's own record.

mod committed;
mod habit;

mod transaction; // one attempt
mod copy;
mod fast;
mod careful;
mod refused;
mod record;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::health::Pulse;
use common::{Clock, Shutdown, fault};

use crate::backoff::Backoff;
use crate::batch::{Batch, BatchIds, Run};
use crate::connect::{self, Database};
use crate::going_back;
use crate::progress::Progress;
use crate::session::{Backend, Session};
use crate::verdict::{self, Verdict};
pub(crate) use committed::Committed;
pub(crate) use copy::{INCOMING, copy};
use habit::{Habit, Path};
use transaction::Attempt;

/// The longest attempt, in which a table may be locked or a connection be dead without a word.
const ATTEMPT: Duration = Duration::from_mins(10);

/// Why a batch cannot be written. Nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL's word.
    #[error("failed to write a batch")]
    Database(#[from] sqlx::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// An earlier batch is gone.
    #[error(transparent)]
    GoneBack(#[from] going_back::Error),
    /// So many bad rows have one cause, and that is not the rows.
    #[error("PostgreSQL refuses more than half of a batch of {rows} rows, one of them because: {example}")]
    MostlyRefused {
        /// The batch's rows.
        rows: usize,
        /// The server's word on the last one that was tried.
        example: String,
    },
    /// Asked to stop while the database was away.
    #[error("stopped before the database was back")]
    Stopped,
}

impl Error {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Database(error) => verdict::of(error),
            Self::Connect(error) => error.verdict(),
            Self::GoneBack(error) => error.verdict(),
            Self::MostlyRefused { .. } | Self::Stopped => Verdict::Stop,
        }
    }
}

/// What batches are written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To settle each row for the first time. What is added counts in the sums of files.
    Live,
    /// To settle again what was settled before. What is added stays out of the sums.
    Replay,
    /// To fill a table of its own, by its quoted name. Only events go there, and other tables stay as they are.
    Table(String),
}

/// What earlier attempts to write a batch have shown.
#[derive(Debug, Default)]
struct Known {
    /// The outcome of one is unknown.
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
    /// Of a session that broke; the server may not know that yet.
    lost: Option<Backend>,
    habit: Habit,
    replica: Arc<str>,
    ids: BatchIds,
    purpose: Purpose,
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
        purpose: Purpose,
        clock: Clock,
        progress: Arc<Progress>,
    ) -> Self {
        let pulse = progress.health().pulse("write", ATTEMPT);
        let habit = Habit::default();
        Self { database, session: None, lost: None, habit, replica, ids, purpose, clock, progress, pulse }
    }

    /// Writes `batch`, however long the database is away. Only a fault that needs a person, or `shutdown` when it
    /// stops, is an error.
    pub(crate) async fn write(&mut self, mut batch: Batch, shutdown: &Shutdown) -> Result<Committed, Error> {
        let began_us = self.clock.micros();
        let mut path = match self.purpose {
            Purpose::Table(_) => Path::Careful,
            Purpose::Live | Purpose::Replay => self.habit.path(),
        };
        let mut backoff = Backoff::new(batch.id.number.unsigned_abs());
        let mut known = Known::default();
        loop {
            self.pulse.beat();
            fault::hang("write").await;
            let tried = Instant::now();
            let error = match self.attempt(&mut batch, path, &mut known, began_us).await {
                Ok(Attempt::Committed(tally)) => {
                    self.database.outage.succeeded_after(tried);
                    self.habit.learn(tally.has_conflicts());
                    self.database.last_commit.set(batch.id);
                    self.pulse.rest();
                    return Ok(Committed::new(batch, &tally, self.clock, &self.progress));
                }
                Ok(Attempt::SettledBefore) => {
                    path = Path::Careful;
                    continue;
                }
                Err(error) => error,
            };
            match error.verdict() {
                Verdict::Conflict | Verdict::BadData | Verdict::TooLarge if path == Path::Fast => {
                    path = Path::Careful;
                }
                Verdict::BatchTaken => known.number_is_taken = true,
                Verdict::RecordTaken => known.record_ids_are_taken = true,
                Verdict::Retry => {
                    known.may_have_committed = true;
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
        known: &mut Known,
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
                going_back::find(connection, last).await?;
            }
            if (known.may_have_committed || known.number_is_taken)
                && let Some(tally) = record::find(connection, batch, &self.replica).await?
            {
                return Ok(Attempt::Committed(tally));
            }
            if known.number_is_taken {
                // By another batch: no attempt under this number can have committed.
                self.ids.change_to(Run::begin(connection).await?);
                let (taken, id) = (batch.id, self.ids.next());
                tracing::warn!(
                    taken = taken.number,
                    used = id.number,
                    "a batch number is taken by another batch, a new one is used; \
                     the sequence `runs` does not go on where the table `batches` does"
                );
                batch.id = id;
                known.number_is_taken = false;
            }
            if std::mem::take(&mut known.record_ids_are_taken) {
                record::advance_ids(connection).await?;
            }
            let made = record::Made { replica: &self.replica, began_us, purpose: &self.purpose };
            transaction::attempt(connection, batch, path, made).await
        };
        self.database.watch(*backend, work).await
    }
}
