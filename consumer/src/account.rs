//! The ledger: what became of the rows of each file.

use secrecy::SecretString;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::connect::{self, Database};

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// It does not answer.
    #[error("failed to read the accounts of files")]
    Read(#[source] sqlx::Error),
}

/// One file's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileAccount {
    /// Its id.
    pub file_id: i64,
    /// Its path; `file ID` when its rows came before word of the file.
    pub file: String,
    /// Rows that the tailer read.
    pub rows_read: i64,
    /// Its rows in `events`.
    pub events: i64,
    /// Its rows in `duplicates`.
    pub duplicates: i64,
    /// Its rows in `corrupt_records`.
    pub corrupt_records: i64,
    /// Whether the tailer was told that it is complete.
    pub closed: bool,
    /// `open`, `finished` or `truncated`, as the tailer last said.
    pub state: String,
}

impl FromRow<'_, PgRow> for FileAccount {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            file_id: row.try_get("file_id")?,
            file: row.try_get("file")?,
            rows_read: row.try_get("rows_read")?,
            events: row.try_get("events")?,
            duplicates: row.try_get("duplicates")?,
            corrupt_records: row.try_get("corrupt_records")?,
            closed: row.try_get("closed")?,
            state: row.try_get("state")?,
        })
    }
}

impl FileAccount {
    /// The ledger's law: every row that was read is in one table. It need not hold yet while the file is open.
    pub fn law_holds(&self) -> bool {
        self.rows_read == self.events + self.duplicates + self.corrupt_records
    }

    /// Whether rows of it may still be on their way.
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }
}

/// How fast all batches together were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Rows that they put into tables.
    pub rows_written: i64,
    /// Those a second, from the first batch to the last.
    pub rows_per_second: f64,
    /// Milliseconds from written to its file to committed: half of the rows took no longer.
    pub p50_ms: f64,
    /// And 99 of 100 no longer than this. Both by the oldest row of each batch.
    pub p99_ms: f64,
}

/// The accounts of `files`, or of all, by what the batches have recorded: fast, however many rows there are.
pub async fn by_file(url: &SecretString, files: Option<&[i64]>) -> Result<Vec<FileAccount>, Error> {
    read(url, files, include_str!("../../sql/accounts.sql")).await
}

/// The accounts of `files`, or of all, counted from the tables themselves: the proof, which reads every row.
pub async fn from_tables(url: &SecretString, files: Option<&[i64]>) -> Result<Vec<FileAccount>, Error> {
    read(url, files, include_str!("../../sql/accounts_from_tables.sql")).await
}

/// How fast the batches were, of all the time.
pub async fn pace(url: &SecretString) -> Result<Pace, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let (rows_written, rows_per_second, p50_ms, p99_ms) = sqlx::query_as(include_str!("../../sql/pace.sql"))
        .fetch_one(&mut connection)
        .await
        .map_err(Error::Read)?;
    Ok(Pace { rows_written, rows_per_second, p50_ms, p99_ms })
}

async fn read(
    url: &SecretString,
    files: Option<&[i64]>,
    statement: &'static str,
) -> Result<Vec<FileAccount>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    sqlx::query_as(statement).bind(files).fetch_all(&mut connection).await.map_err(Error::Read)
}
