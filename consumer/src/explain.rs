//! The life of one row, as the database tells it: which table it is in, which batch brought it, which other rows have
//! its event's id.
//!
//! An event id or an origin enters, a [`Life`] leaves, all of it read in one snapshot.

mod columns;
mod life;

use common::Origin;
use common::origin::Row;
use secrecy::SecretString;
use serde::Deserialize;
use sqlx::error::BoxDynError;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::connect::{self, Database};
use crate::migrate;
pub use columns::Columns;
pub use life::{Batch, Corrupt, File, Life, Other, Written};

/// Why nobody can tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// It has no tables, or those of an older version.
    #[error(transparent)]
    Schema(#[from] migrate::Error),
    /// It does not answer.
    #[error("failed to read what became of a row")]
    Read(#[from] sqlx::Error),
}

/// The files that somebody means by a path, the end of one, or an id, the newest first; and those that have `ids`.
pub async fn files(url: &SecretString, name: &str, ids: &[i64]) -> Result<Vec<File>, Error> {
    let mut connection = connect(url).await?;
    let found: Vec<String> = sqlx::query_scalar(include_str!("../../sql/files_meant.sql"))
        .bind(name)
        .bind(ids)
        .fetch_all(&mut connection)
        .await?;
    Ok(found.iter().map(|file| from_json(file)).collect::<Result<_, _>>()?)
}

/// What became of a row. It looks through all of `events`, which has no index for that.
pub async fn of_origin(url: &SecretString, origin: Origin) -> Result<Life, Error> {
    let mut connection = connect(url).await?;
    let mut snapshot = snapshot(&mut connection).await?;
    let events: Vec<Uuid> = sqlx::query_scalar(include_str!("../../sql/events_of_origin.sql"))
        .bind(origin.file.get())
        .bind(origin.row)
        .fetch_all(&mut *snapshot)
        .await?;
    Ok(life(&mut snapshot, &events, Some(origin)).await?)
}

/// What became of the row that became this event, and where it stands; where there is no such event, of the first row
/// that would be a duplicate of it. `None` where there is neither.
pub async fn of_event(url: &SecretString, id: Uuid) -> Result<Option<(Option<Origin>, Life)>, Error> {
    let mut connection = connect(url).await?;
    let mut snapshot = snapshot(&mut connection).await?;
    let found: Option<(bool, Option<i64>, Option<Row>)> =
        sqlx::query_as(include_str!("../../sql/origin_of_event.sql"))
            .bind(id)
            .fetch_optional(&mut *snapshot)
            .await?;
    let Some((is_event, file_id, row)) = found else { return Ok(None) };
    let origin = file_id.zip(row).map(|(file, row)| Origin { file: file.into(), row });
    let events = if is_event { vec![id] } else { Vec::new() };
    Ok(Some((origin, life(&mut snapshot, &events, origin).await?)))
}

async fn connect(url: &SecretString) -> Result<PgConnection, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    migrate::check(&mut connection).await?;
    Ok(connection)
}

async fn snapshot(connection: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    connection.begin_with("begin transaction isolation level repeatable read, read only").await
}

async fn life(connection: &mut PgConnection, events: &[Uuid], origin: Option<Origin>) -> sqlx::Result<Life> {
    let json: String = sqlx::query_scalar(include_str!("../../sql/explain.sql"))
        .bind(events)
        .bind(origin.map(|origin| origin.file.get()))
        .bind(origin.map(|origin| origin.row))
        .fetch_one(connection)
        .await?;
    from_json(&json)
}

fn from_json<T: for<'de> Deserialize<'de>>(json: &str) -> sqlx::Result<T> {
    serde_json::from_str(json).map_err(|error| sqlx::Error::Decode(BoxDynError::from(error)))
}
