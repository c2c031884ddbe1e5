//! Whether the database still has what it once committed.
//!
//! A database that was restored from an older backup, or replaced by a standby that lagged behind, has lost rows whose
//! messages are acknowledged: they are never delivered again. So the newest acknowledged message, and the last batch
//! that a writer has committed, are looked up; where one is missing, a person has to act.

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::stream::{STREAM, StreamPosition};
use common::{Classify, ErrorClass};
use sqlx::PgConnection;

use crate::batch_id::BatchId;
use crate::sqlstate;

/// What a replica does when it starts on a database that was rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRollback {
    #[default]
    Refuse,
    /// For `heal`, which brings back what is missing.
    Continue,
}

/// Evidence that the database has lost commits.
#[derive(Debug, thiserror::Error)]
pub enum Rollback {
    /// Messages were acknowledged that it does not have.
    #[error(
        "the database has gone back: it has what was committed up to message {committed} of stream {STREAM}, but \
         messages up to {acknowledged} were acknowledged; run `millrace heal`"
    )]
    Behind {
        /// The last message that it has; 0 for none.
        committed: u64,
        /// The last message before which there is none that was not acknowledged.
        acknowledged: u64,
    },
    /// Messages are lost, and a healing could not find out which rows they held.
    #[error(
        "the database has gone back: messages {first} to {last} of stream {STREAM} were acknowledged and are lost, and \
         not every file was held against its checkpoint since; run `millrace heal` on the machine of each producer"
    )]
    Unaccounted { first: i64, last: i64 },
    /// A batch is not there any more.
    #[error(
        "the database has gone back: batch {batch} had committed and is not there any more; run `millrace heal`"
    )]
    Lost { batch: i64 },
    #[error("this PostgreSQL is a standby that may be late")]
    Standby,
    #[error("failed to look for what was committed before")]
    Database(#[from] sqlx::Error),
}

impl Classify for Rollback {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Behind { .. } | Self::Unaccounted { .. } | Self::Lost { .. } => ErrorClass::Stop,
            Self::Standby => ErrorClass::Transient,
            Self::Database(error) => sqlstate::classify(error),
        }
    }
}

/// The last batch that a process has committed, by whichever writer.
#[derive(Debug, Default)]
pub struct LastCommit(Mutex<Option<BatchId>>);

impl LastCommit {
    pub fn set(&self, batch: BatchId) {
        *self.lock() = Some(batch);
    }

    /// `None` before the first one.
    pub fn get(&self) -> Option<BatchId> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<BatchId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares the newest batch of this incarnation of the stream with what is acknowledged.
pub async fn check_acknowledged(
    connection: &mut PgConnection,
    acknowledged: StreamPosition,
) -> Result<(), Rollback> {
    let (is_standby, committed): (bool, Option<i64>) =
        sqlx::query_as(include_str!("../../sql/last_committed.sql"))
            .bind(acknowledged.stream_created)
            .fetch_one(&mut *connection)
            .await?;
    let committed = committed.unwrap_or(0).unsigned_abs();
    if committed >= acknowledged.sequence {
        let gap: Option<(i64, i64)> =
            sqlx::query_as(include_str!("../../sql/first_gap.sql")).fetch_optional(connection).await?;
        return match gap {
            Some((first, last)) if !is_standby => Err(Rollback::Unaccounted { first, last }),
            _ => Ok(()),
        };
    }
    let behind = Rollback::Behind { committed, acknowledged: acknowledged.sequence };
    Err(if is_standby { Rollback::Standby } else { behind })
}

/// Fails where a batch that was committed on an earlier connection is missing.
pub async fn check_batch(connection: &mut PgConnection, batch: BatchId) -> Result<(), Rollback> {
    let (is_standby, is_there): (bool, bool) = sqlx::query_as(include_str!("../../sql/batch_is_there.sql"))
        .bind(batch.number)
        .bind(batch.run)
        .fetch_one(connection)
        .await?;
    if is_there {
        return Ok(());
    }
    Err(if is_standby { Rollback::Standby } else { Rollback::Lost { batch: batch.number } })
}
