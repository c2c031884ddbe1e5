//! What became of each row, read from the tables themselves, for those who hold it against the files.

use futures::TryStreamExt;
use secrecy::SecretString;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connect::{self, Database};

/// Why nobody can tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// It does not answer.
    #[error("failed to read what became of rows")]
    Read(#[source] sqlx::Error),
}

/// One row in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its file; rows that came past Millrace have none.
    pub file_id: Option<i64>,
    /// Its number in the file, from 1.
    pub row: Option<i64>,
    /// The table, with what tells the row apart there.
    pub table: Table,
}

/// A table in which rows end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Table {
    /// `events`.
    Events(Uuid),
    /// `duplicates`.
    Duplicates(Uuid),
    /// `corrupt_records`, with the row's bytes.
    Corrupt(Vec<u8>),
}

/// Every row of every table: as much memory as that takes.
pub async fn all(url: &SecretString) -> Result<Vec<Fate>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let rows = sqlx::query(include_str!("../../sql/fates.sql")).fetch(&mut connection);
    rows.and_then(|row| std::future::ready(fate(&row))).try_collect().await.map_err(Error::Read)
}

/// How often a row came again that was in its table already.
pub async fn redelivered(url: &SecretString) -> Result<i64, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let sum = sqlx::query_scalar(include_str!("../../sql/redelivered.sql"));
    sum.fetch_one(&mut connection).await.map_err(Error::Read)
}

fn fate(row: &PgRow) -> sqlx::Result<Fate> {
    let table = match row.try_get("fate")? {
        "event" => Table::Events(row.try_get("event_id")?),
        "duplicate" => Table::Duplicates(row.try_get("event_id")?),
        _ => Table::Corrupt(row.try_get("raw")?),
    };
    Ok(Fate { file_id: row.try_get("file_id")?, row: row.try_get("source_row")?, table })
}
