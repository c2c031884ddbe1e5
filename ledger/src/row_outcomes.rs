//! The table in which each row ended, read from the tables themselves.

use futures::TryStreamExt;
use secrecy::SecretString;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connect::Database;
use crate::error::Error;

const READ: &str = "read the rows of the tables";

/// One row in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowOutcome {
    /// `None` for rows that something else has inserted.
    pub file_id: Option<i64>,
    /// Its number in the file, from 1.
    pub row: Option<i64>,
    pub table: Table,
}

/// A table in which rows end. `content` is type, time (UTC, milliseconds), customer, product, price, session and
/// address, with `|` between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    Events {
        event_id: Uuid,
        content: String,
    },
    Duplicates {
        /// The id of the event that it repeats.
        event_id: Uuid,
        content: String,
        /// Whether it is recorded as different from the event.
        differs: bool,
    },
    /// The bytes of the row.
    Corrupt(Vec<u8>),
}

/// Passes every row of every table to `each`, by file and row.
pub async fn read(url: &SecretString, mut each: impl FnMut(RowOutcome)) -> Result<(), Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let mut rows = sqlx::query(include_str!("../../sql/row_outcomes.sql")).fetch(&mut connection);
    while let Some(row) = rows.try_next().await.map_err(Error::of(READ))? {
        each(outcome(&row).map_err(Error::of(READ))?);
    }
    Ok(())
}

/// How many redeliveries there were.
pub async fn redelivered(url: &SecretString) -> Result<i64, Error> {
    count(url, include_str!("../../sql/redelivered.sql")).await
}

/// How many rows of `duplicates` repeat no event.
pub async fn duplicates_without_event(url: &SecretString) -> Result<i64, Error> {
    count(url, include_str!("../../sql/duplicates_without_event.sql")).await
}

async fn count(url: &SecretString, sql: &'static str) -> Result<i64, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.map_err(Error::of(READ))
}

fn outcome(row: &PgRow) -> sqlx::Result<RowOutcome> {
    let content = || row.try_get("content");
    let table = match row.try_get("outcome")? {
        "event" => Table::Events { event_id: row.try_get("event_id")?, content: content()? },
        "duplicate" => Table::Duplicates {
            event_id: row.try_get("event_id")?,
            content: content()?,
            differs: row.try_get("differs")?,
        },
        _ => Table::Corrupt(row.try_get("raw")?),
    };
    Ok(RowOutcome { file_id: row.try_get("file_id")?, row: row.try_get("source_row")?, table })
}
