//! Control totals of files, and how fast batches were written.

use common::event::has_doubtful_ids;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::FromRow;

use crate::connect::Database;
use crate::error::Error;

/// The totals of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct FileTotals {
    pub file_id: i64,
    /// Its path, or `file ID` where rows of it arrived before its path did.
    pub file: String,
    pub rows_read: i64,
    pub events: i64,
    pub duplicates: i64,
    pub corrupt_records: i64,
    /// Of the duplicates, those of which anything but the id is different.
    pub differing_duplicates: i64,
    /// Whether it is finished and reconciled, and was announced as closed.
    pub closed: bool,
    /// `open`, `finished` or `truncated`, by the last totals that the tailer sent.
    pub state: String,
}

impl FileTotals {
    /// Whether every row that was read is in one table. While the file is open, rows may be missing.
    pub fn is_reconciled(&self) -> bool {
        self.rows_read == self.events + self.duplicates + self.corrupt_records
    }

    /// As [`has_doubtful_ids`].
    pub fn has_doubtful_ids(&self) -> bool {
        has_doubtful_ids(self.rows_read, self.differing_duplicates)
    }

    /// Whether more rows of it may arrive.
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }
}

/// The throughput of all batches together.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromRow)]
pub struct Throughput {
    pub rows_written: i64,
    /// From the beginning of the first batch to the end of the last.
    pub rows_per_second: f64,
    /// Milliseconds from written to the file to committed, of the oldest row of each batch: the median.
    pub p50_ms: f64,
    /// The 99th percentile of the same.
    pub p99_ms: f64,
}

/// The totals of `files`, or of all, by what the batches recorded: fast, however many rows there are.
pub async fn by_file(url: &SecretString, files: Option<&[i64]>) -> Result<Vec<FileTotals>, Error> {
    read(url, files, include_str!("../../sql/file_totals.sql")).await
}

/// The totals of `files`, or of all, counted from the tables themselves: the proof, which reads every row.
pub async fn from_tables(url: &SecretString, files: Option<&[i64]>) -> Result<Vec<FileTotals>, Error> {
    read(url, files, include_str!("../../sql/file_totals_from_tables.sql")).await
}

/// The throughput since the database was made.
pub async fn throughput(url: &SecretString) -> Result<Throughput, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    sqlx::query_as(include_str!("../../sql/throughput.sql"))
        .fetch_one(&mut connection)
        .await
        .map_err(Error::of("read the throughput of batches"))
}

async fn read(
    url: &SecretString,
    files: Option<&[i64]>,
    statement: &'static str,
) -> Result<Vec<FileTotals>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let read = sqlx::query_as(statement).bind(files).fetch_all(&mut connection).await;
    read.map_err(Error::of("read the totals of files"))
}
