//! What the statements about rejected rows answer.

use std::fmt;

use chrono::{DateTime, Utc};
use common::Origin;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

/// One rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it stands; a message of the stream that does not say it has none.
    pub origin: Option<Origin>,
    /// The path where its file was read, where that is known.
    pub path: Option<String>,
    /// Who found it: `producer` in the file, `decode` in the message, `database` in the values.
    pub stage: String,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// The event's column at fault.
    pub column: Option<String>,
    /// The value at fault.
    pub value: Option<String>,
    /// The row as it stands in the file; for the stages `decode` and `database` the message.
    pub raw: Vec<u8>,
    /// Whether only the beginning of `raw` was kept.
    pub truncated: bool,
    /// The place of its message in the stream.
    pub stream_sequence: i64,
    /// When another row took its place.
    pub closed_at: Option<DateTime<Utc>>,
    /// That row.
    pub replaced_by: Option<Origin>,
}

/// Rejected rows of one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByReason {
    /// How many there are.
    pub rejects: i64,
    /// In how many files.
    pub files: i64,
    /// The first of them.
    pub example: Reject,
}

/// Rejected rows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByFile {
    /// The file; none for rows that do not say where they stand.
    pub file_id: Option<i64>,
    /// How many there are.
    pub rejects: i64,
    /// The path where it was read, where that is known.
    pub path: Option<String>,
    /// Its column names, where they are known.
    pub header: Option<Vec<String>>,
    /// What separates its fields, where that is known.
    pub delimiter: Option<char>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its id.
    pub file_id: i64,
    /// The path where it was read.
    pub path: String,
    /// Whether every row of it is in a table.
    pub closed: bool,
}

impl FromRow<'_, PgRow> for Reject {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let origin = |file: &str, number: &str| -> sqlx::Result<Option<Origin>> {
            let file: Option<i64> = row.try_get(file)?;
            let number: Option<i64> = row.try_get(number)?;
            Ok(file.zip(number).map(|(file, row)| Origin { file: file.into(), row }))
        };
        Ok(Self {
            origin: origin("file_id", "source_row")?,
            path: row.try_get("path")?,
            stage: row.try_get("stage")?,
            reason: row.try_get("reason")?,
            message: row.try_get("message")?,
            column: row.try_get("column_name")?,
            value: row.try_get("value")?,
            raw: row.try_get("raw")?,
            truncated: row.try_get("truncated")?,
            stream_sequence: row.try_get("stream_sequence")?,
            closed_at: row.try_get("closed_at")?,
            replaced_by: origin("replaced_by_file_id", "replaced_by_row")?,
        })
    }
}

impl FromRow<'_, PgRow> for ByReason {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            rejects: row.try_get("rejects")?,
            files: row.try_get("files")?,
            example: Reject::from_row(row)?,
        })
    }
}

impl FromRow<'_, PgRow> for ByFile {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let header: Option<Json<Vec<String>>> = row.try_get("header")?;
        let delimiter: Option<String> = row.try_get("delimiter")?;
        Ok(Self {
            file_id: row.try_get("file_id")?,
            rejects: row.try_get("rejects")?,
            path: row.try_get("path")?,
            header: header.map(|Json(names)| names),
            delimiter: delimiter.and_then(|text| text.chars().next()),
        })
    }
}

impl FromRow<'_, PgRow> for File {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            file_id: row.try_get("file_id")?,
            path: row.try_get("path")?,
            closed: row.try_get("closed")?,
        })
    }
}

/// Where it stands, as people say it: the file's name and the row.
impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.path, self.origin) {
            (Some(path), Some(origin)) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                write!(f, "{name}:{}", origin.row)
            }
            (None, Some(origin)) => write!(f, "{origin}"),
            (_, None) => write!(f, "message {} of the stream", self.stream_sequence),
        }
    }
}
