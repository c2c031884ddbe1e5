//! Brings what the database says of files to what its tables hold, so that files whose rows are gone are open again.
//!
//! A database enters whose tables were changed by hand, or put back to an older state; what was wrong with the sums of
//! its files leaves. Nothing that a batch has recorded is changed: what it lacks is appended, as a batch would do it, so
//! that replicas may go on writing meanwhile. The rows themselves come back through the stream.

use std::collections::HashMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use common::FileId;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::batch::Run;
use crate::connect::{self, Database};
use crate::migrate;

/// The name under which healing writes into `batches`.
pub const REPLICA: &str = "heal";

/// Why the database cannot be healed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// Its schema is not what this build needs.
    #[error(transparent)]
    Schema(#[from] migrate::Error),
    /// Somebody else is at it.
    #[error("another `millrace heal` is at work on this database; wait for its end")]
    Taken,
    /// A statement failed.
    #[error("failed to {doing}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// PostgreSQL's word.
        #[source]
        source: sqlx::Error,
    },
}

/// By how much the sums of one file were wrong: what was added to each, negative where rows are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Correction {
    /// The file.
    pub file_id: i64,
    /// Its path; `file ID` where that is not known.
    pub file: String,
    /// Rows in `events`.
    pub events: i32,
    /// Rows in `duplicates`.
    pub duplicates: i32,
    /// Rows in `corrupt_records`.
    pub corrupt_records: i32,
}

/// Messages that were acknowledged and that the database has lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// When the stream was made whose messages they are.
    pub stream_created: DateTime<Utc>,
    /// The sequence of the first one.
    pub first_sequence: i64,
    /// The sequence of the last one.
    pub last_sequence: i64,
    /// The files that were held against their checkpoints since, on whatever machine.
    #[serde(skip)]
    pub held: Vec<i64>,
    /// The paths of files that the database knows and that were not.
    pub not_held: Vec<String>,
}

/// A row of the statement, in the order of a [`Gap`].
type FoundGap = (DateTime<Utc>, i64, i64, Vec<i64>, Vec<String>);

impl From<FoundGap> for Gap {
    fn from((stream_created, first_sequence, last_sequence, held, not_held): FoundGap) -> Self {
        Self { stream_created, first_sequence, last_sequence, held, not_held }
    }
}

/// A row of the statement, in the order of a [`Correction`].
type Wrong = (i64, String, i32, i32, i32);

impl From<Wrong> for Correction {
    fn from((file_id, file, events, duplicates, corrupt_records): Wrong) -> Self {
        Self { file_id, file, events, duplicates, corrupt_records }
    }
}

/// The right to heal a database, until it is dropped.
#[derive(Debug)]
pub struct Heal {
    connection: PgConnection,
}

impl Heal {
    /// Connects, and refuses where the schema is too old or somebody else heals.
    pub async fn begin(url: &SecretString) -> Result<Self, Error> {
        let mut connection = Database::at(url)?.connect().await?;
        migrate::check(&mut connection).await?;
        let is_ours: bool = sqlx::query_scalar(include_str!("../../sql/heal_lock.sql"))
            .fetch_one(&mut connection)
            .await
            .map_err(failed("ask whether somebody else heals"))?;
        if is_ours { Ok(Self { connection }) } else { Err(Error::Taken) }
    }

    /// Counts the rows of all files, and tells by how much their sums are wrong. With `correct` it corrects them, and
    /// opens closed files whose law does not hold.
    pub async fn sums(&mut self, correct: bool) -> Result<Vec<Correction>, Error> {
        let batch = self.next_batch().await?;
        let failed = || failed("correct the sums of files");
        let mut transaction = self.connection.begin().await.map_err(failed())?;
        let wrong: Vec<Wrong> = sqlx::query_as(include_str!("../../sql/heal_sums.sql"))
            .bind(batch)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed())?;
        let wrong = wrong.into_iter().map(Correction::from).collect();
        if !correct {
            transaction.rollback().await.map_err(failed())?;
            return Ok(wrong);
        }
        transaction.commit().await.map_err(failed())?;
        let reopened: i64 = sqlx::query_scalar(include_str!("../../sql/heal_reopen.sql"))
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed())?;
        tracing::debug!(reopened, "sums are right");
        Ok(wrong)
    }

    /// The revision of each file's account.
    pub async fn revisions(&mut self) -> Result<HashMap<i64, i64>, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/file_revisions.sql"))
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("read the accounts of files"))?;
        Ok(rows.into_iter().collect())
    }

    /// Notes a gap, where the database knows less of the stream that was made at `created` than was `acknowledged`.
    /// Consumers refuse to start until it is closed.
    pub async fn note_gap(&mut self, created: DateTime<Utc>, acknowledged: u64) -> Result<(), Error> {
        sqlx::query(include_str!("../../sql/heal_note_gap.sql"))
            .bind(created.trunc_subsecs(6))
            .bind(i64::try_from(acknowledged).unwrap_or(i64::MAX))
            .execute(&mut self.connection)
            .await
            .map_err(failed("note what the database has lost"))?;
        Ok(())
    }

    /// Notes that `files` were held against their checkpoints, and gives the gaps.
    pub async fn hold(&mut self, files: &[FileId]) -> Result<Vec<Gap>, Error> {
        let files: Vec<i64> = files.iter().map(|file| file.get()).collect();
        let gaps: Vec<FoundGap> = sqlx::query_as(include_str!("../../sql/heal_hold_files.sql"))
            .bind(files)
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("note which files were held against their checkpoints"))?;
        Ok(gaps.into_iter().map(Gap::from).collect())
    }

    /// Notes that everything of `gap` is accounted for.
    pub async fn close_gap(&mut self, gap: &Gap) -> Result<(), Error> {
        sqlx::query(include_str!("../../sql/heal_close_gap.sql"))
            .bind(gap.stream_created)
            .bind(gap.first_sequence)
            .execute(&mut self.connection)
            .await
            .map_err(failed("note that a gap is accounted for"))?;
        Ok(())
    }

    /// Takes note that everything up to `sequence` of the stream that was made at `created` was seen to, so that
    /// consumers no longer refuse to start for want of it. Whether that had to be noted.
    pub async fn caught_up(&mut self, created: DateTime<Utc>, sequence: u64) -> Result<bool, Error> {
        let batch = self.next_batch().await?;
        let noted = sqlx::query(include_str!("../../sql/heal_caught_up.sql"))
            .bind(batch)
            .bind(created.trunc_subsecs(6))
            .bind(i64::try_from(sequence).unwrap_or(i64::MAX))
            .execute(&mut self.connection)
            .await
            .map_err(failed("take note of what was healed"))?;
        Ok(noted.rows_affected() > 0)
    }

    /// The number of a batch of its own.
    async fn next_batch(&mut self) -> Result<i64, Error> {
        let run = Run::begin(&mut self.connection).await.map_err(failed("take a number for this healing"))?;
        Ok(run.first().number)
    }
}

fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Error {
    move |source| Error::Database { doing, source }
}
