//! All that the database has about one row: its table, the batch that brought it, and other rows with the id of its event.
//!
//! An event id or an origin enters, a [`RowHistory`] leaves. Everything is read in one snapshot.

mod columns;
mod tables;

use common::Origin;
use common::origin::Row;
use secrecy::SecretString;
use serde::Deserialize;
use sqlx::error::BoxDynError;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::connect::Database;
use crate::error::Error;
use crate::migrate::check_schema;
pub use columns::Columns;
pub use tables::{Batch, Corrupt, File, RowHistory, SameId, Written};

const READ: &str = "read the history of a row";

/// The files whose path, end of the path, or id is `name`, and those that have `ids`; the newest first.
pub async fn files(url: &SecretString, name: &str, ids: &[i64]) -> Result<Vec<File>, Error> {
    let mut connection = connect(url).await?;
    let found: Vec<String> = sqlx::query_scalar(include_str!("../../sql/files_meant.sql"))
        .bind(name)
        .bind(ids)
        .fetch_all(&mut connection)
        .await
        .map_err(Error::of(READ))?;
    found.iter().map(|file| from_json(file)).collect::<Result<_, _>>().map_err(Error::of(READ))
}

/// The history of a row. Reads all of `events`, which has no index by origin.
pub async fn of_origin(url: &SecretString, origin: Origin) -> Result<RowHistory, Error> {
    let mut connection = connect(url).await?;
    let mut snapshot = snapshot(&mut connection).await.map_err(Error::of(READ))?;
    let events: Vec<Uuid> = sqlx::query_scalar(include_str!("../../sql/events_of_origin.sql"))
        .bind(origin.file.get())
        .bind(origin.row)
        .fetch_all(&mut *snapshot)
        .await
        .map_err(Error::of(READ))?;
    history(&mut snapshot, &events, Some(origin)).await.map_err(Error::of(READ))
}

/// The events that their files call `id`, with their origins; 20 at most. Reads all of `events` and `duplicates`.
pub async fn events_called(url: &SecretString, id: &str) -> Result<Vec<(Uuid, Option<Origin>)>, Error> {
    let mut connection = connect(url).await?;
    let found: Vec<(Uuid, Option<i64>, Option<Row>)> =
        sqlx::query_as(include_str!("../../sql/events_of_own_id.sql"))
            .bind(id)
            .fetch_all(&mut connection)
            .await
            .map_err(Error::of(READ))?;
    let origin = |(file, row): (i64, Row)| Origin { file: file.into(), row };
    Ok(found.into_iter().map(|(id, file, row)| (id, file.zip(row).map(origin))).collect())
}

/// The origin and history of the row that became this event or, where there is none, of its first duplicate.
pub async fn of_event(url: &SecretString, id: Uuid) -> Result<Option<(Option<Origin>, RowHistory)>, Error> {
    let mut connection = connect(url).await?;
    let mut snapshot = snapshot(&mut connection).await.map_err(Error::of(READ))?;
    let found: Option<(bool, Option<i64>, Option<Row>)> =
        sqlx::query_as(include_str!("../../sql/origin_of_event.sql"))
            .bind(id)
            .fetch_optional(&mut *snapshot)
            .await
            .map_err(Error::of(READ))?;
    let Some((is_event, file_id, row)) = found else { return Ok(None) };
    let origin = file_id.zip(row).map(|(file, row)| Origin { file: file.into(), row });
    let events = if is_event { vec![id] } else { Vec::new() };
    let history = history(&mut snapshot, &events, origin).await.map_err(Error::of(READ))?;
    Ok(Some((origin, history)))
}

async fn connect(url: &SecretString) -> Result<PgConnection, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    check_schema(&mut connection).await?;
    Ok(connection)
}

async fn snapshot(connection: &mut PgConnection) -> sqlx::Result<Transaction<'_, Postgres>> {
    connection.begin_with("begin transaction isolation level repeatable read, read only").await
}

async fn history(
    connection: &mut PgConnection,
    events: &[Uuid],
    origin: Option<Origin>,
) -> sqlx::Result<RowHistory> {
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
