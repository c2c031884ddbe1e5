//! Whether the database still has what it once committed.
//!
//! A database that was put back to an older backup, or whose place a lagging replica took, has lost rows that the broker
//! was told to forget: nobody would ever deliver them again. So what the broker knows to be acknowledged, and what a
//! writer knows to have committed, is looked for; where it is missing, a person has to act.

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::stream::STREAM;
use sqlx::PgConnection;

use crate::batch::BatchId;
use crate::fetch::Position;
use crate::verdict::{self, Verdict};

/// What a replica does where the database has gone back before it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenGoneBack {
    /// It refuses to start.
    #[default]
    Refuse,
    /// It starts: someone sees to it that what is missing comes again.
    GoOn,
}

/// Why the database cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Messages were acknowledged that it knows nothing of.
    #[error(
        "the database has gone back: it has what was committed up to message {committed} of stream {STREAM}, but \
         messages up to {acknowledged} were acknowledged; run `millrace heal`"
    )]
    Behind {
        /// The last message of which it knows; 0 for none.
        committed: u64,
        /// The last message before which there is none that was not acknowledged.
        acknowledged: u64,
    },
    /// Messages are lost, and a healing could not account for all of them.
    #[error(
        "the database has gone back: messages {first} to {last} of stream {STREAM} were acknowledged and are lost, and \
         not every file was held against its checkpoint since; run `millrace heal` on the machine of each producer"
    )]
    Unaccounted {
        /// The first of them.
        first: i64,
        /// The last of them.
        last: i64,
    },
    /// A batch is not there any more.
    #[error(
        "the database has gone back: batch {batch} had committed and is not there any more; run `millrace heal`"
    )]
    Lost {
        /// Its id.
        batch: i64,
    },
    /// It only follows another server, and may be late.
    #[error("this PostgreSQL is a standby that may be late")]
    Standby,
    /// It does not answer.
    #[error("failed to look for what was committed before")]
    Database(#[from] sqlx::Error),
}

impl Error {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Behind { .. } | Self::Unaccounted { .. } | Self::Lost { .. } => Verdict::Stop,
            Self::Standby => Verdict::Retry,
            Self::Database(error) => verdict::of(error),
        }
    }
}

/// The last batch that a process has committed, by whichever writer.
#[derive(Debug, Default)]
pub(crate) struct LastCommit(Mutex<Option<BatchId>>);

impl LastCommit {
    pub(crate) fn set(&self, batch: BatchId) {
        *self.lock() = Some(batch);
    }

    /// `None` before the first one.
    pub(crate) fn get(&self) -> Option<BatchId> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<BatchId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds the newest batch of this life of the stream against what was acknowledged before it is read.
pub(crate) async fn refuse(connection: &mut PgConnection, acknowledged: Position) -> Result<(), Error> {
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
            Some((first, last)) if !is_standby => Err(Error::Unaccounted { first, last }),
            _ => Ok(()),
        };
    }
    let behind = Error::Behind { committed, acknowledged: acknowledged.sequence };
    Err(if is_standby { Error::Standby } else { behind })
}

/// Looks for a batch that was committed on an earlier connection.
pub(crate) async fn find(connection: &mut PgConnection, batch: BatchId) -> Result<(), Error> {
    let (is_standby, is_there): (bool, bool) = sqlx::query_as(include_str!("../../sql/batch_is_there.sql"))
        .bind(batch.number)
        .bind(batch.run)
        .fetch_one(connection)
        .await?;
    if is_there {
        return Ok(());
    }
    Err(if is_standby { Error::Standby } else { Error::Lost { batch: batch.number } })
}
