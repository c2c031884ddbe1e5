//! Corrects the totals of files to what the tables hold, so that files whose rows are missing are open again.
//!
//! Nothing that a batch has recorded is changed: a correction is appended as a batch of its own, so that replicas may
//! write meanwhile. The rows themselves come back through the stream.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use common::FileId;
use common::stream::StreamPosition;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{Connection as _, FromRow, PgConnection};

use crate::batch_id::Run;
use crate::connect::Database;
use crate::error::Error;
use crate::migrate::check_schema;

/// The name under which healing writes into `batches`.
pub const REPLICA: &str = "heal";

/// What was added to the totals of one file; negative where rows are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Correction {
    pub file_id: i64,
    /// Its path, or `file ID` where that is not known.
    pub file: String,
    pub events: i32,
    pub duplicates: i32,
    pub corrupt_records: i32,
}

/// Messages that were acknowledged and that the database has lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct Gap {
    /// When the stream was created that they are from.
    pub stream_created: DateTime<Utc>,
    pub first_sequence: i64,
    pub last_sequence: i64,
    /// Files that were compared with their checkpoints since, on any machine.
    #[serde(skip)]
    pub held: Vec<i64>,
    /// Paths of files in the database that were not.
    pub not_held: Vec<String>,
}

/// The lock of `millrace heal` on a database, until it is dropped.
#[derive(Debug)]
pub struct Repair {
    connection: PgConnection,
}

impl Repair {
    /// Connects and takes the lock. Fails where the schema is too old or another heal is running.
    pub async fn begin(url: &SecretString) -> Result<Self, Error> {
        let mut connection = Database::at(url)?.connect().await?;
        check_schema(&mut connection).await?;
        let is_ours: bool = sqlx::query_scalar(include_str!("../../sql/heal_lock.sql"))
            .fetch_one(&mut connection)
            .await
            .map_err(Error::of("take the lock of heal"))?;
        if is_ours { Ok(Self { connection }) } else { Err(Error::AlreadyHealing) }
    }

    /// Counts the rows of all files and returns the corrections of their totals. With `correct` it writes them, and
    /// opens closed files that are not reconciled.
    pub async fn sums(&mut self, correct: bool) -> Result<Vec<Correction>, Error> {
        let batch = self.next_batch().await?;
        let failed = || Error::of("correct the totals of files");
        let mut transaction = self.connection.begin().await.map_err(failed())?;
        let wrong: Vec<Correction> = sqlx::query_as(include_str!("../../sql/heal_sums.sql"))
            .bind(batch)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed())?;
        if !correct {
            transaction.rollback().await.map_err(failed())?;
            return Ok(wrong);
        }
        transaction.commit().await.map_err(failed())?;
        let reopened: i64 = sqlx::query_scalar(include_str!("../../sql/heal_reopen.sql"))
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed())?;
        tracing::debug!(reopened, "totals are correct");
        Ok(wrong)
    }

    /// The revision of each file's totals.
    pub async fn revisions(&mut self) -> Result<HashMap<i64, i64>, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../sql/file_revisions.sql"))
            .fetch_all(&mut self.connection)
            .await
            .map_err(Error::of("read the revisions of files"))?;
        Ok(rows.into_iter().collect())
    }

    /// Records a gap where the database does not have all messages up to `acknowledged`. Consumers refuse to start until
    /// it is closed.
    pub async fn note_gap(&mut self, acknowledged: StreamPosition) -> Result<(), Error> {
        sqlx::query(include_str!("../../sql/heal_note_gap.sql"))
            .bind(acknowledged.stream_created)
            .bind(i64::try_from(acknowledged.sequence).unwrap_or(i64::MAX))
            .execute(&mut self.connection)
            .await
            .map_err(Error::of("record what the database has lost"))?;
        Ok(())
    }

    /// Records that `files` were compared with their checkpoints, and returns the gaps.
    pub async fn hold(&mut self, files: &[FileId]) -> Result<Vec<Gap>, Error> {
        let files: Vec<i64> = files.iter().map(|file| file.get()).collect();
        sqlx::query_as(include_str!("../../sql/heal_hold_files.sql"))
            .bind(files)
            .fetch_all(&mut self.connection)
            .await
            .map_err(Error::of("record which files were compared with their checkpoints"))
    }

    /// Records that everything of `gap` is accounted for.
    pub async fn close_gap(&mut self, gap: &Gap) -> Result<(), Error> {
        sqlx::query(include_str!("../../sql/heal_close_gap.sql"))
            .bind(gap.stream_created)
            .bind(gap.first_sequence)
            .execute(&mut self.connection)
            .await
            .map_err(Error::of("record that a gap is accounted for"))?;
        Ok(())
    }

    /// Records that everything up to `position` is accounted for, so that consumers start again. Returns whether that had
    /// to be recorded.
    pub async fn caught_up(&mut self, position: StreamPosition) -> Result<bool, Error> {
        let batch = self.next_batch().await?;
        let noted = sqlx::query(include_str!("../../sql/heal_caught_up.sql"))
            .bind(batch)
            .bind(position.stream_created)
            .bind(i64::try_from(position.sequence).unwrap_or(i64::MAX))
            .execute(&mut self.connection)
            .await
            .map_err(Error::of("record what was healed"))?;
        Ok(noted.rows_affected() > 0)
    }

    async fn next_batch(&mut self) -> Result<i64, Error> {
        let run = Run::begin(&mut self.connection).await.map_err(Error::of("take a batch number"))?;
        Ok(run.first().number)
    }
}
