//! What became of a row, table by table, and the batch that brought it.

use chrono::{DateTime, Utc};
use indicatif::HumanCount;
use ledger::row_history::{Batch, Corrupt, SameId, Written};

use super::{LABEL, Lines, cut, time};
use crate::explain::explanation::escaped;

/// Columns of the names of an event's columns.
const NAME: usize = 18;
/// How many other rows of an event id are shown.
const OTHERS: usize = 10;

pub(super) fn render_rejected(lines: &mut Lines, record: &Corrupt) {
    lines.blank();
    let at = match record.stage.as_str() {
        "producer" => "when the file was read",
        "decode" => "when its message was read",
        _ => "by the database",
    };
    lines.line("rejected", format!("{at}: {} ({})", record.message, record.reason));
    if let Some(column) = &record.column_name {
        let value = record.value.as_ref().map(|value| format!(" = {:?}", cut(value)));
        lines.line("", format!("{column}{}", value.unwrap_or_default()));
    }
    if record.stage != "producer" {
        lines.raw("message", &cut(&escaped(&record.raw.0)));
    }
    match (record.closed_at, record.replaced_by_row) {
        (Some(at), Some(row)) => {
            let file = record.replaced_by_file.as_deref().unwrap_or("a file that is not known");
            lines.line("replaced", format!("by row {row} of {file}, {}", time(at)));
        }
        (Some(at), None) => lines.line("closed", time(at)),
        (None, _) => {}
    }
    render_batch(lines, record.batch.as_ref(), record.created_at);
}

pub(super) fn render_written(lines: &mut Lines, label: &str, written: &Written) {
    lines.blank();
    lines.line(label, written.event_id.to_string());
    for (name, value) in written.columns.iter() {
        lines.folded(&format!("{:LABEL$}{name:<NAME$}", ""), &cut(&escaped(value.as_bytes())));
    }
    render_batch(lines, written.batch.as_ref(), written.created_at);
    if label == "duplicate" {
        let differs = written.differs.unwrap_or_default();
        let what =
            if differs { "it says something else than its event" } else { "it says the same as its event" };
        lines.line("same id", what);
    }
    let mut label = if label == "duplicate" { "" } else { "same id" };
    for other in written.same_id.iter().take(OTHERS) {
        let what = match (other.fate.as_str(), other.differs) {
            ("events", _) => "the event",
            (_, Some(true)) => "a duplicate that differs",
            _ => "a duplicate",
        };
        lines.line(label, format!("{}, {what}, {}", origin_of(other), time(other.created_at)));
        label = "";
    }
    let more = written.same_id.len().saturating_sub(OTHERS);
    if more > 0 {
        lines.line("", format!("… and {more} more; --json names all of them"));
    }
}

fn render_batch(lines: &mut Lines, batch: Option<&Batch>, created_at: DateTime<Utc>) {
    let Some(batch) = batch else {
        return lines.line("batch", format!("none is known; committed {}", time(created_at)));
    };
    let replay = if batch.replay { ", a replay" } else { "" };
    lines.line(
        "batch",
        format!("{} by {}{replay}, committed {}", batch.batch_id, batch.replica, time(batch.committed_at)),
    );
    let count =
        |count: i64, what: &str| (count > 0).then(|| format!("{} {what}", HumanCount(count.unsigned_abs())));
    let counts = [
        count(batch.inserted, "events"),
        count(batch.duplicates, "duplicates"),
        count(batch.rejected, "rejected"),
        count(batch.redelivered, "that were there before"),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    lines.line("", format!("{} rows: {}", HumanCount(batch.rows.unsigned_abs()), counts.join(", ")));
    lines.line(
        "",
        format!(
            "messages {} to {} of the stream made {}",
            batch.first_sequence,
            batch.last_sequence,
            time(batch.stream_created)
        ),
    );
    let clock = |at: DateTime<Utc>| at.format("%H:%M:%S%.3f");
    let written = batch.oldest_written.map(|at| format!("oldest row written {}, ", clock(at)));
    lines.line(
        "",
        format!(
            "{}fetched {}, write began {}",
            written.unwrap_or_default(),
            clock(batch.fetched_at),
            clock(batch.write_began_at)
        ),
    );
}

pub(super) fn origin_of(other: &SameId) -> String {
    match (&other.file, other.file_id, other.source_row) {
        (Some(file), _, Some(row)) => format!("row {row} of {file}"),
        (None, Some(file_id), Some(row)) => format!("row {row} of file {file_id}"),
        _ => "a row that came past Millrace".to_owned(),
    }
}
