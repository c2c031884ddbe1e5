//! What somebody means by `EVENT_ID` or `FILE:ROW`: words enter, an event id or a row of one file leaves.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use common::Origin;
use common::config::Problem;
use common::origin::Row;
use ledger::row_history::File;
use producer::CheckpointSummary;
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

/// What is meant.
#[derive(Debug)]
pub(super) enum Meant {
    /// An event.
    Event(Uuid),
    /// One of these events of several files.
    OneOfEvents(Vec<(Uuid, Option<Origin>)>),
    /// No event has this id, and no file this name.
    Nothing,
    /// A row of this file.
    Row(Box<FileFacts>, Row),
    /// A row of one of these files, the newest first.
    OneOf(Vec<FileFacts>, Row),
}

/// What is known of a file, by the database and by its checkpoint.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FileFacts {
    pub(super) file_id: i64,
    /// Its path where it was read.
    pub(super) file: String,
    /// Where it is now, as far as its checkpoint is here.
    pub(super) place: Option<PathBuf>,
    /// `open`, `finished` or `truncated`; none where the database does not know it.
    pub(super) state: Option<String>,
    /// What the tailer has done with it, as far as its checkpoint is here.
    pub(super) tailer: Option<&'static str>,
    pub(super) rows_read: i64,
    /// Whether rows may still come.
    pub(super) is_open: bool,
    pub(super) source: Option<String>,
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) closed_at: Option<DateTime<Utc>>,
}

/// Finds out what is meant by `asked`.
pub(super) async fn find(
    asked: &str,
    url: &SecretString,
    known: &[CheckpointSummary],
) -> anyhow::Result<Meant> {
    if let Ok(id) = Uuid::try_parse(asked.trim()) {
        return Ok(Meant::Event(id));
    }
    let Some((name, row)) = row_of_file(asked)? else { return event_called(asked, url).await };
    let mut files = files_named(name, url, known).await?;
    match files.len() {
        // An id of a file's own may look like that too.
        0 => event_called(asked, url).await,
        1 => Ok(Meant::Row(Box::new(files.remove(0)), row)),
        _ => Ok(Meant::OneOf(files, row)),
    }
}

/// The event that its file calls so.
async fn event_called(asked: &str, url: &SecretString) -> anyhow::Result<Meant> {
    let events = ledger::row_history::events_called(url, asked).await?;
    let [(id, _)] = events[..] else {
        return Ok(if events.is_empty() { Meant::Nothing } else { Meant::OneOfEvents(events) });
    };
    Ok(Meant::Event(id))
}

/// `FILE:ROW`, where a file's name may have colons too.
fn row_of_file(asked: &str) -> Result<Option<(&str, Row)>, Problem> {
    let Some((name, row)) = asked.rsplit_once(':') else { return Ok(None) };
    match row.trim().parse::<Row>() {
        Ok(row) if row > 0 && !name.is_empty() => Ok(Some((name.strip_prefix("./").unwrap_or(name), row))),
        Ok(row) if !name.is_empty() => {
            Err(Problem::new(format!("{name} has no row {row}: rows are counted from 1; write {name}:1")))
        }
        _ => Ok(None),
    }
}

/// The file of this id.
pub(super) async fn file(
    id: i64,
    url: &SecretString,
    known: &[CheckpointSummary],
) -> anyhow::Result<Option<FileFacts>> {
    Ok(files_named(&id.to_string(), url, known).await?.into_iter().find(|file| file.file_id == id))
}

/// The files that are meant by a path, the end of one, a name in the archive, or an id.
async fn files_named(
    name: &str,
    url: &SecretString,
    known: &[CheckpointSummary],
) -> anyhow::Result<Vec<FileFacts>> {
    let is_meant = |path: &Path| path.ends_with(name);
    let known: Vec<&CheckpointSummary> = known
        .iter()
        .filter(|file| {
            let place = file.place.as_deref();
            file.file_id.to_string() == name || is_meant(&file.path) || place.is_some_and(is_meant)
        })
        .collect();
    let ids: Vec<i64> = known.iter().map(|file| file.file_id.get()).collect();
    let stored = ledger::row_history::files(url, name, &ids).await?;
    let only_known = known.iter().filter(|file| stored.iter().all(|one| one.file_id != file.file_id.get()));
    let mut files: Vec<FileFacts> = only_known.map(|file| FileFacts::of(None, Some(file))).collect();
    files.extend(stored.iter().map(|file| {
        let known = known.iter().find(|known| known.file_id.get() == file.file_id);
        FileFacts::of(Some(file), known.copied())
    }));
    // The whole path beats the end of another one.
    if files.iter().any(|file| file.file == name) {
        files.retain(|file| file.file == name);
    }
    Ok(files)
}

impl FileFacts {
    fn of(stored: Option<&File>, known: Option<&CheckpointSummary>) -> Self {
        let path = |known: &CheckpointSummary| known.path.display().to_string();
        Self {
            file_id: stored.map(|file| file.file_id).or(known.map(|file| file.file_id.get())).unwrap_or(0),
            file: stored.map(|file| file.file.clone()).or(known.map(path)).unwrap_or_default(),
            place: known.and_then(|file| file.place.clone()),
            state: stored.map(|file| file.state.clone()),
            tailer: known.map(|file| file.state),
            rows_read: stored.map_or(0, |file| file.rows_read).max(known.map_or(0, |file| file.rows)),
            is_open: stored.is_none_or(|file| file.state == "open")
                || known.is_some_and(|file| file.is_reading),
            source: stored.map(|file| file.source.clone()),
            created_at: stored.map(|file| file.created_at),
            closed_at: stored.and_then(|file| file.closed_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_behind_the_last_colon() {
        assert_eq!(row_of_file("in/a.csv:3").unwrap(), Some(("in/a.csv", 3)));
        assert_eq!(row_of_file("./10:30.csv:3").unwrap(), Some(("10:30.csv", 3)));
        assert_eq!(row_of_file("42:7").unwrap(), Some(("42", 7)));
        assert_eq!(row_of_file("a.csv").unwrap(), None);
        assert_eq!(row_of_file("order:abc").unwrap(), None);
        let wrong = row_of_file("a.csv:0").unwrap_err().to_string();
        assert!(wrong.contains("write a.csv:1"), "{wrong}");
    }
}
