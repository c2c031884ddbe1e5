//! Answers of the queries about rejected rows.

use std::fmt;

use chrono::{DateTime, Utc};
use common::Origin;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};

/// One rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// `None` for a message of the stream that cannot be decoded.
    pub origin: Option<Origin>,
    /// The path of its file, where that is known.
    pub path: Option<String>,
    /// Where it was rejected: `producer` (the file), `decode` (the message) or `database` (the values).
    pub stage: String,
    /// A code, for programs.
    pub reason: String,
    /// A sentence, for people.
    pub message: String,
    pub column: Option<String>,
    pub value: Option<String>,
    /// The bytes of the row; for the stages `decode` and `database` those of the message.
    pub raw: Vec<u8>,
    pub truncated: bool,
    pub stream_sequence: i64,
    /// When another row replaced it.
    pub closed_at: Option<DateTime<Utc>>,
    pub replaced_by: Option<Origin>,
}

/// Rejected rows of one reason.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ByReason {
    pub rejects: i64,
    pub files: i64,
    #[sqlx(flatten)]
    pub example: Reject,
}

/// Rejected rows of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByFile {
    /// `None` for messages that cannot be decoded.
    pub file_id: Option<i64>,
    pub rejects: i64,
    pub path: Option<String>,
    pub header: Option<Vec<String>>,
    pub delimiter: Option<char>,
}

/// A file with this name.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct File {
    pub file_id: i64,
    pub path: String,
    /// Whether it is finished and reconciled.
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

/// The name of its file and the row, such as `a.csv:7`.
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
