//! What became of one row, and the facts behind it: those of the tables, and the row as it is in its file.

use common::Origin;
use common::config::Config;
use common::origin::Row;
use common::printable::printable;
use ledger::row_history::RowHistory;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::find::FileFacts;
use super::row_lookup::{Located, ReadAs, locate};

/// As one JSON object; its keys are what users parse.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    #[serde(rename = "fate")]
    pub(super) outcome: RowOutcome,
    /// Its file; none for a row that came past Millrace.
    pub(super) file: Option<FileFacts>,
    pub(super) row: Option<Row>,
    /// Where it stands in the file, and what.
    pub(super) text: Option<Text>,
    /// Why the file could not be read again.
    pub(super) unread: Option<String>,
    #[serde(flatten)]
    pub(super) history: RowHistory,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RowOutcome {
    /// It is in `events`.
    Event,
    /// It is in `duplicates`.
    Duplicate,
    /// It is in `corrupt_records`.
    Rejected,
    /// It is in more than one place.
    Twice,
    /// It is in none of the tables, and may be on its way.
    InFlight,
    /// It is in none of the tables.
    Missing,
    /// The file has fewer rows.
    NoSuchRow,
}

/// A row as it stands in its file.
#[derive(Debug, Serialize)]
pub(super) struct Text {
    /// Offset of its first byte, uncompressed.
    pub(super) byte_start: Option<i64>,
    /// Offset behind its last byte.
    pub(super) byte_end: Option<i64>,
    /// Its bytes without the line end; those that are no UTF-8 as `\xE9`.
    #[serde(serialize_with = "as_text")]
    pub(super) raw: Vec<u8>,
    /// Whether only the beginning was kept.
    pub(super) truncated: bool,
    /// The event that it is when it is read now.
    pub(super) read_as: Option<Uuid>,
    /// Why it is none when it is read now.
    pub(super) read_as_rejected: Option<String>,
}

impl Explanation {
    /// Where the tables have the row's bytes, the file is not read again.
    pub(super) async fn of(
        config: &Config,
        file: Option<FileFacts>,
        origin: Option<Origin>,
        history: RowHistory,
    ) -> anyhow::Result<Self> {
        let kept =
            history.corrupt_records.iter().find(|record| record.stage == "producer").map(|record| Text {
                byte_start: record.byte_start,
                byte_end: record.byte_end,
                raw: record.raw.0.clone(),
                truncated: record.truncated,
                read_as: None,
                read_as_rejected: None,
            });
        let (text, unread) = match (kept, origin) {
            (Some(kept), _) => (Some(kept), None),
            (None, None) => (None, None),
            (None, Some(origin)) => {
                let config = config.clone();
                match tokio::task::spawn_blocking(move || locate(&config, origin)).await? {
                    Ok(located) => (Some(located.into()), None),
                    Err(error) => (None, Some(format!("{error:#}"))),
                }
            }
        };
        let row = origin.map(|origin| origin.row);
        Ok(Self { outcome: outcome(&history, file.as_ref(), row), file, row, text, unread, history })
    }

    /// The event's id, unless it was rejected or is not there.
    pub(super) fn event_id(&self) -> Option<Uuid> {
        self.history.events.iter().chain(&self.history.duplicates).map(|written| written.event_id).next()
    }

    /// Whether the file says something else by now than what is in the table.
    pub(super) fn has_changed(&self) -> bool {
        let read_as = self.text.as_ref().and_then(|text| text.read_as);
        read_as.zip(self.event_id()).is_some_and(|(now, then)| now != then)
    }

    /// The row, as people name it.
    pub(super) fn name(&self) -> String {
        match (&self.file, self.row) {
            (Some(file), Some(row)) => format!("row {row} of {}", file.file),
            (None, Some(row)) => format!("row {row} of a file that is not known"),
            _ => "an event that came past Millrace".to_owned(),
        }
    }
}

fn outcome(history: &RowHistory, file: Option<&FileFacts>, row: Option<Row>) -> RowOutcome {
    match (history.events.len(), history.duplicates.len(), history.corrupt_records.len()) {
        (1, 0, 0) => RowOutcome::Event,
        (0, 1, 0) => RowOutcome::Duplicate,
        (0, 0, 1) => RowOutcome::Rejected,
        (0, 0, 0) => match file.zip(row) {
            Some((file, row)) if row > file.rows_read && !file.is_open => RowOutcome::NoSuchRow,
            Some((file, _)) if file.is_open || file.closed_at.is_none() => RowOutcome::InFlight,
            _ => RowOutcome::Missing,
        },
        _ => RowOutcome::Twice,
    }
}

impl From<Located> for Text {
    fn from(located: Located) -> Self {
        let (read_as, read_as_rejected) = match located.read_as {
            ReadAs::Event(id) => (Some(id), None),
            ReadAs::Rejected(why) => (None, Some(why)),
        };
        Self {
            byte_start: Some(located.byte_start),
            byte_end: Some(located.byte_end),
            raw: located.raw,
            truncated: located.is_cut,
            read_as,
            read_as_rejected,
        }
    }
}

/// Bytes as text in one line: what is no UTF-8 as `\xE9`, a line end as `\n`.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text += &printable(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    text
}

fn as_text<S: Serializer>(raw: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(raw) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => serializer.serialize_str(&escaped(raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_escaped() {
        assert_eq!(escaped(b"Andr\xe9,\"a\nb\",\0,\xc3\xa9"), "Andr\\xE9,\"a\\nb\",\\0,\u{e9}");
    }
}
