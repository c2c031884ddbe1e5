//! Puts batches into the database, each in one transaction: a [`Batch`] enters, [`Committed`] leaves.
//!
//! Two paths: `fast` copies rows straight into `events`, which fails as a whole when one of them is there already or
//! is refused; `careful` finds out for each row what it is. `record` completes both with the rejected rows, the
//! accounts of files and the batch's own record.

mod backoff;
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

use common::{Clock, Shutdown};
use sqlx::PgConnection;

use crate::batch::Batch;
use crate::connect::{self, Database};
use crate::progress::Progress;
use crate::verdict::{self, Verdict};
use backoff::Backoff;
pub(crate) use committed::Committed;
use habit::{Habit, Path};
use transaction::Attempt;

/// Why a batch cannot be written. Nothing of it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// PostgreSQL's word.
    #[error("failed to write a batch")]
    Database(#[from] sqlx::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] connect::Error),
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
            Self::MostlyRefused { .. } | Self::Stopped => Verdict::Stop,
        }
    }
}

/// One connection that writes, made anew whenever it breaks.
#[derive(Debug)]
pub(crate) struct Writer {
    database: Database,
    session: Option<PgConnection>,
    habit: Habit,
    replica: Arc<str>,
    clock: Clock,
    progress: Arc<Progress>,
}

impl Writer {
    /// Connects with the first batch. `replica` is its name in `batches`.
    pub(crate) fn new(database: Database, replica: Arc<str>, clock: Clock, progress: Arc<Progress>) -> Self {
        Self { database, session: None, habit: Habit::default(), replica, clock, progress }
    }

    /// Writes `batch`, however long the database is away. Only a fault that needs a person, or `shutdown` when it
    /// stops, is an error.
    pub(crate) async fn write(&mut self, batch: Batch, shutdown: &Shutdown) -> Result<Committed, Error> {
        let began_us = self.clock.micros();
        let mut path = self.habit.path();
        let mut backoff = Backoff::of(batch.id);
        // Whether an earlier attempt may have committed although we have not heard of it.
        let mut doubt = false;
        loop {
            let error = match self.attempt(&batch, path, doubt, began_us).await {
                Ok(Attempt::Committed(tally)) => {
                    self.database.outage.succeeded();
                    self.habit.learn(tally.has_conflicts());
                    return Ok(Committed::new(batch, &tally, self.clock, &self.progress));
                }
                Ok(Attempt::SettledBefore) => {
                    path = Path::Careful;
                    continue;
                }
                Err(error) => error,
            };
            match error.verdict() {
                Verdict::Conflict | Verdict::BadData if path == Path::Fast => path = Path::Careful,
                Verdict::Recorded if !doubt => doubt = true,
                Verdict::Retry => {
                    doubt = true;
                    self.session = None;
                    self.database.outage.failed(&error);
                    backoff.wait(shutdown).await?;
                }
                _ => return Err(error),
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &Batch,
        path: Path,
        doubt: bool,
        began_us: i64,
    ) -> Result<Attempt, Error> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(self.database.connect().await?),
        };
        if doubt && let Some(tally) = record::find(session, batch).await? {
            return Ok(Attempt::Committed(tally));
        }
        let made = record::Made { replica: &self.replica, began_us };
        transaction::attempt(session, batch, path, made).await
    }
}
