//! The tables in which one row is found, its batch and its file.

use chrono::{DateTime, Utc};
use common::origin::Row;
use common::wire::Bytes64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Columns;

/// What the tables hold of one row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RowHistory {
    /// More than one only where something else has changed the table.
    pub events: Vec<Written>,
    pub duplicates: Vec<Written>,
    pub corrupt_records: Vec<Corrupt>,
}

/// A row in `events` or `duplicates`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Written {
    /// Of a duplicate: the id of the event that it repeats.
    pub event_id: Uuid,
    /// `None` for a row that something else has inserted.
    pub file_id: Option<i64>,
    pub source_row: Option<Row>,
    pub created_at: DateTime<Utc>,
    /// Of a duplicate: whether any column differs from its event.
    pub differs: Option<bool>,
    pub columns: Columns,
    pub batch: Option<Batch>,
    /// Other rows with the same event id, in the order of arrival.
    pub same_id: Vec<SameId>,
}

/// Another row with the same event id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SameId {
    /// `events` or `duplicates`.
    pub fate: String,
    pub file_id: Option<i64>,
    pub source_row: Option<Row>,
    pub file: Option<String>,
    /// Of a duplicate: whether any column differs from the event.
    pub differs: Option<bool>,
    pub created_at: DateTime<Utc>,
}

/// A row in `corrupt_records`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Corrupt {
    pub file_id: i64,
    pub source_row: Row,
    /// Offset of its first byte, uncompressed.
    pub byte_start: Option<i64>,
    /// Offset behind its last byte.
    pub byte_end: Option<i64>,
    /// Where it was rejected: `producer`, `decode` or `database`.
    pub stage: String,
    /// A code, for programs.
    pub reason: String,
    /// A sentence, for people.
    pub message: String,
    pub column_name: Option<String>,
    pub value: Option<String>,
    /// Its bytes; for `decode` and `database` those of its message.
    pub raw: Bytes64,
    /// Whether only the beginning was kept.
    pub truncated: bool,
    /// When the stream was created that its message is from.
    pub stream_created: DateTime<Utc>,
    pub stream_sequence: i64,
    pub created_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
    /// The row that replaces it.
    pub replaced_by_file_id: Option<i64>,
    pub replaced_by_row: Option<Row>,
    pub replaced_by_file: Option<String>,
    pub batch: Option<Batch>,
}

/// The transaction that wrote a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub batch_id: i64,
    pub replica: String,
    /// Whether it is part of a replay.
    pub replay: bool,
    /// When the stream was created that its messages are from.
    pub stream_created: DateTime<Utc>,
    pub first_sequence: i64,
    pub last_sequence: i64,
    pub rows: i64,
    pub inserted: i64,
    pub duplicates: i64,
    /// Rows that were in a table before.
    pub redelivered: i64,
    pub rejected: i64,
    /// When the oldest of them was written to its file.
    pub oldest_written: Option<DateTime<Utc>>,
    /// When the first of its messages was taken off the stream.
    pub fetched_at: DateTime<Utc>,
    /// When a writer began to write it.
    pub write_began_at: DateTime<Utc>,
    /// When it sent COMMIT.
    pub committed_at: DateTime<Utc>,
}

/// A row of `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub file_id: i64,
    pub file: String,
    /// The `[[source]]` that mapped it.
    pub source: String,
    /// `open`, `finished` or `truncated`.
    pub state: String,
    /// Final unless the file is open.
    pub rows_read: i64,
    /// When its first row or total was written.
    pub created_at: DateTime<Utc>,
    /// When its last totals were written.
    pub updated_at: DateTime<Utc>,
    /// When it was reconciled and announced as closed.
    pub closed_at: Option<DateTime<Utc>>,
}
