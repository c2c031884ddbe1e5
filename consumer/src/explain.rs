//! The life of one row, as the database tells it: which table it is in, which batch brought it, which other rows have
//! its event's id.
//!
//! An event id or an origin enters, a [`Life`] leaves, all of it read in one snapshot.

mod columns;

use chrono::{DateTime, Utc};
use common::Origin;
use common::origin::Row;
use common::wire::Bytes64;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::error::BoxDynError;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::connect::{self, Database};
use crate::migrate;
pub use columns::Columns;

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

/// What is in the tables of one row, each of them empty where it is not there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Life {
    /// In `events`; more than one where somebody was at the table.
    pub events: Vec<Written>,
    /// In `duplicates`.
    pub duplicates: Vec<Written>,
    /// In `corrupt_records`.
    pub corrupt_records: Vec<Corrupt>,
}

/// A row in `events` or `duplicates`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written {
    /// Its key; that of the event which it repeats, for a duplicate.
    pub event_id: Uuid,
    /// The file it stands in; none for a row that came past Millrace.
    pub file_id: Option<i64>,
    /// Its number there.
    pub source_row: Option<Row>,
    /// The time of the transaction that committed it.
    pub created_at: DateTime<Utc>,
    /// Whether it says something else than its event; of a duplicate.
    pub differs: Option<bool>,
    /// What it says.
    pub columns: Columns,
    /// What brought it; none for a row that came past Millrace.
    pub batch: Option<Batch>,
    /// Other rows of the same event id, in the order in which they came.
    pub same_id: Vec<Other>,
}

/// Another row of an event id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// `events` or `duplicates`.
    pub fate: String,
    /// The file it stands in.
    pub file_id: Option<i64>,
    /// Its number there.
    pub source_row: Option<Row>,
    /// The file's path.
    pub file: Option<String>,
    /// Whether it says something else than the event; of a duplicate.
    pub differs: Option<bool>,
    /// The time of the transaction that committed it.
    pub created_at: DateTime<Utc>,
}

/// A row in `corrupt_records`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Corrupt {
    /// The file it stands in.
    pub file_id: i64,
    /// Its number there.
    pub source_row: Row,
    /// Offset of its first byte, uncompressed.
    pub byte_start: Option<i64>,
    /// Offset behind its last byte.
    pub byte_end: Option<i64>,
    /// Who refused it: `producer`, `decode` or `database`.
    pub stage: String,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// The event's column at fault.
    pub column_name: Option<String>,
    /// The value at fault.
    pub value: Option<String>,
    /// Its bytes; of the stages `decode` and `database`, its message.
    pub raw: Bytes64,
    /// Whether only the beginning was kept.
    pub truncated: bool,
    /// The life of the stream that brought it.
    pub stream_created: DateTime<Utc>,
    /// Its place there.
    pub stream_sequence: i64,
    /// The time of the transaction that committed it.
    pub created_at: DateTime<Utc>,
    /// When it was settled.
    pub closed_at: Option<DateTime<Utc>>,
    /// The file of the row that took its place.
    pub replaced_by_file_id: Option<i64>,
    /// That row's number there.
    pub replaced_by_row: Option<Row>,
    /// That file's path.
    pub replaced_by_file: Option<String>,
    /// What brought it.
    pub batch: Option<Batch>,
}

/// The transaction that brought a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its key.
    pub batch_id: i64,
    /// Who wrote it.
    pub replica: String,
    /// Whether it is part of a replay.
    pub replay: bool,
    /// The life of the stream that it was taken from.
    pub stream_created: DateTime<Utc>,
    /// The first of its messages.
    pub first_sequence: i64,
    /// The last of them.
    pub last_sequence: i64,
    /// How many rows it has.
    pub rows: i64,
    /// How many of them became events.
    pub inserted: i64,
    /// How many became duplicates.
    pub duplicates: i64,
    /// How many were in a table before.
    pub redelivered: i64,
    /// How many became corrupt records.
    pub rejected: i64,
    /// When the oldest of them was written to its file.
    pub oldest_written: Option<DateTime<Utc>>,
    /// When the first of its messages was taken off the stream.
    pub fetched_at: DateTime<Utc>,
    /// When a writer took it up.
    pub write_began_at: DateTime<Utc>,
    /// When it asked to commit.
    pub committed_at: DateTime<Utc>,
}

/// A file as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its id.
    pub file_id: i64,
    /// Its path.
    pub file: String,
    /// The `[[source]]` that mapped it.
    pub source: String,
    /// `open`, `finished` or `truncated`.
    pub state: String,
    /// Its rows, as far as is known; final unless it is open.
    pub rows_read: i64,
    /// When the database first heard of it.
    pub created_at: DateTime<Utc>,
    /// When its last account came.
    pub updated_at: DateTime<Utc>,
    /// When every row of it was in a table.
    pub closed_at: Option<DateTime<Utc>>,
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
