//! What became of each row, read from the tables themselves, for those who compare it with what was written.

use futures::TryStreamExt;
use secrecy::SecretString;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connect::{self, Database};

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// It does not answer.
    #[error("failed to read the rows of the tables")]
    Read(#[source] sqlx::Error),
}

/// One row in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowOutcome {
    /// Its file; rows that came past Millrace have none.
    pub file_id: Option<i64>,
    /// Its number in the file, from 1.
    pub row: Option<i64>,
    /// The table, with what tells the row apart there.
    pub table: Table,
}

/// A table in which rows end. `content` is type, time (UTC, milliseconds), customer, product, price, session and
/// address, with `|` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// `events`.
    Events {
        /// The primary key.
        event_id: Uuid,
        /// Its columns.
        content: String,
    },
    /// `duplicates`.
    Duplicates {
        /// Of the event that it repeats.
        event_id: Uuid,
        /// Its columns.
        content: String,
    },
    /// `corrupt_records`, with the row's bytes.
    Corrupt(Vec<u8>),
}

/// Gives every row of every table to `each`, by file and row.
pub async fn read(url: &SecretString, mut each: impl FnMut(RowOutcome)) -> Result<(), Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let mut rows = sqlx::query(include_str!("../../sql/row_outcomes.sql")).fetch(&mut connection);
    while let Some(row) = rows.try_next().await.map_err(Error::Read)? {
        each(outcome(&row).map_err(Error::Read)?);
    }
    Ok(())
}

/// How often a row came again that was in its table already.
pub async fn redelivered(url: &SecretString) -> Result<i64, Error> {
    count(url, include_str!("../../sql/redelivered.sql")).await
}

/// How many rows of `duplicates` repeat nothing.
pub async fn duplicates_without_event(url: &SecretString) -> Result<i64, Error> {
    count(url, include_str!("../../sql/duplicates_without_event.sql")).await
}

async fn count(url: &SecretString, sql: &'static str) -> Result<i64, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.map_err(Error::Read)
}

fn outcome(row: &PgRow) -> sqlx::Result<RowOutcome> {
    let content = || row.try_get("content");
    let table = match row.try_get("outcome")? {
        "event" => Table::Events { event_id: row.try_get("event_id")?, content: content()? },
        "duplicate" => Table::Duplicates { event_id: row.try_get("event_id")?, content: content()? },
        _ => Table::Corrupt(row.try_get("raw")?),
    };
    Ok(RowOutcome { file_id: row.try_get("file_id")?, row: row.try_get("source_row")?, table })
}
