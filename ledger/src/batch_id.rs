//! What identifies a batch: a number in `batches`, and the run that made it.
//!
//! The number is short, because every row has it. It is unique only as long as the sequence `runs` goes on, so the id
//! of the run identifies whose batch a number is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::PgConnection;
use uuid::Uuid;

/// Numbers of one run; the next run's begin behind them.
const OF_RUN: i64 = 1_000_000_000;

/// One run of a process that writes batches.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From a sequence.
    pub number: i64,
    /// Random, made by the server.
    pub id: Uuid,
}

impl Run {
    /// Begins a run whose numbers no batch has.
    pub async fn begin(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let (number, id) =
            sqlx::query_as(include_str!("../../sql/next_run.sql")).fetch_one(connection).await?;
        Ok(Self { number, id })
    }

    /// Its first batch.
    pub fn first(self) -> BatchId {
        BatchId { number: self.number * OF_RUN, run: self.id }
    }
}

/// Identifies a batch for ever; fixed before the first attempt to write it, unless the number turns out to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchId {
    /// Its key in `batches`.
    pub number: i64,
    /// The run that made it.
    pub run: Uuid,
}

/// Gives each batch of a process its id. Clones share it.
#[derive(Clone, Debug)]
pub struct BatchIds(Arc<Mutex<BatchId>>);

impl BatchIds {
    pub fn of(run: Run) -> Self {
        Self(Arc::new(Mutex::new(run.first())))
    }

    pub fn next(&self) -> BatchId {
        let mut next = self.lock();
        let id = *next;
        next.number += 1;
        id
    }

    /// Goes on with the ids of another run, because those of this one are taken.
    pub fn change_to(&self, run: Run) {
        *self.lock() = run.first();
    }

    fn lock(&self) -> MutexGuard<'_, BatchId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
