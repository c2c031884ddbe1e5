//! A row's story for people: aligned lines, what became of it first.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use consumer::explain::{Batch, Corrupt, Other, Written};
use indicatif::HumanCount;

use super::find::FileFacts;
use super::story::{Fate, Story, Text, escaped};

/// Columns of the labels.
const LABEL: usize = 12;
/// Columns of the names of an event's columns.
const NAME: usize = 18;
/// The longest text that is shown, in characters.
const LONGEST: usize = 1_000;
/// How many other rows of an event id are shown.
const OTHERS: usize = 10;

/// Lines with a label each, or below the one before.
#[derive(Debug, Default)]
struct Screen(String);

impl Screen {
    fn line(&mut self, label: &str, text: impl AsRef<str>) {
        let _ = write!(self.0, "\n{label:<LABEL$}{}", text.as_ref());
    }
}

/// The whole story.
pub(super) fn of(story: &Story) -> String {
    let mut screen = Screen(headline(story));
    screen.0.push('\n');
    if let Some(file) = &story.file {
        draw_file(&mut screen, file);
    }
    draw_text(&mut screen, story);
    for record in &story.life.corrupt_records {
        draw_rejected(&mut screen, record);
    }
    for event in &story.life.events {
        draw_written(&mut screen, "event", event);
    }
    for duplicate in &story.life.duplicates {
        draw_written(&mut screen, "duplicate", duplicate);
    }
    if let Some(advice) = advice(story) {
        screen.0.push('\n');
        screen.line("next", advice);
    }
    screen.0
}

fn headline(story: &Story) -> String {
    let name = story.name();
    match story.fate {
        Fate::Event => format!("{name} is an event"),
        Fate::Duplicate => {
            let event = story.life.duplicates.first().and_then(event_of);
            let of = event.map_or_else(
                || "of an event that is not in the table any more".to_owned(),
                |event| format!("of {}", origin_of(event)),
            );
            format!("{name} is a duplicate {of}")
        }
        Fate::Rejected => format!("{name} was rejected"),
        Fate::Twice => format!("{name} is there TWICE"),
        Fate::InFlight => format!("{name} is in none of the tables yet"),
        Fate::Missing => format!("{name} is in NONE of the tables"),
        Fate::NoSuchRow => {
            let rows = story.file.as_ref().map_or(0, |file| file.rows_read.unsigned_abs());
            format!("there is no {name}: it has {} rows", HumanCount(rows))
        }
    }
}

fn draw_file(screen: &mut Screen, file: &FileFacts) {
    screen.line("file", format!("{}  (id {})", file.file, file.file_id));
    let rows = HumanCount(file.rows_read.unsigned_abs());
    screen.line(
        "",
        match (&file.state, file.closed_at) {
            (None, _) => "the database does not know it".to_owned(),
            (Some(state), None) => format!("{state}, {rows} rows so far, not closed"),
            (Some(state), Some(at)) => format!("{state}, {rows} rows, closed {}", time(at)),
        },
    );
    let place = file.place.as_ref().filter(|place| place.as_os_str() != file.file.as_str());
    match (file.tailer, place) {
        (Some(state), Some(place)) => screen.line("", format!("{state}, now {}", place.display())),
        (Some("deleted"), None) => screen.line("", "deleted since"),
        _ => {}
    }
}

fn draw_text(screen: &mut Screen, story: &Story) {
    let row = story.row.map(|row| row.to_string()).unwrap_or_default();
    match (&story.text, &story.unread) {
        (Some(text), _) => {
            let span = text.byte_start.zip(text.byte_end);
            let span = span.map(|(start, end)| format!(", bytes {start} to {end} of the file"));
            screen.line("row", row + &span.unwrap_or_default());
            draw_raw(screen, text);
        }
        (None, Some(why)) if story.fate != Fate::NoSuchRow => {
            screen.line("row", row);
            screen.line("text", format!("not known: {why}"));
        }
        _ => {}
    }
    if story.has_changed() {
        screen.line("", "the file has changed: this is another row than the one that was read");
    }
}

fn draw_raw(screen: &mut Screen, text: &Text) {
    let raw = escaped(&text.raw);
    let shown: String = raw.chars().take(LONGEST).collect();
    let is_cut = text.truncated || shown.len() < raw.len();
    screen.line("text", if is_cut { format!("{shown} …") } else { shown });
    if let Some(why) = &text.read_as_rejected {
        screen.line("", format!("read now it is no event: {why}"));
    }
}

fn draw_rejected(screen: &mut Screen, record: &Corrupt) {
    screen.0.push('\n');
    let at = match record.stage.as_str() {
        "producer" => "when the file was read",
        "decode" => "when its message was read",
        _ => "by the database",
    };
    screen.line("rejected", format!("{at}: {} ({})", record.message, record.reason));
    if let Some(column) = &record.column_name {
        let value = record.value.as_ref().map(|value| format!(" = {:?}", cut(value)));
        screen.line("", format!("{column}{}", value.unwrap_or_default()));
    }
    if record.stage != "producer" {
        screen.line("message", cut(&escaped(&record.raw.0)));
    }
    match (record.closed_at, record.replaced_by_row) {
        (Some(at), Some(row)) => {
            let file = record.replaced_by_file.as_deref().unwrap_or("a file that is not known");
            screen.line("replaced", format!("by row {row} of {file}, {}", time(at)));
        }
        (Some(at), None) => screen.line("closed", time(at)),
        (None, _) => {}
    }
    draw_batch(screen, record.batch.as_ref(), record.created_at);
}

fn draw_written(screen: &mut Screen, label: &str, written: &Written) {
    screen.0.push('\n');
    screen.line(label, written.event_id.to_string());
    for (name, value) in written.columns.iter() {
        screen.line("", format!("{name:<NAME$}{}", cut(&escaped(value.as_bytes()))));
    }
    draw_batch(screen, written.batch.as_ref(), written.created_at);
    if label == "duplicate" {
        let differs = written.differs.unwrap_or_default();
        let what =
            if differs { "it says something else than its event" } else { "it says the same as its event" };
        screen.line("same id", what);
    }
    let mut label = if label == "duplicate" { "" } else { "same id" };
    for other in written.same_id.iter().take(OTHERS) {
        let what = match (other.fate.as_str(), other.differs) {
            ("events", _) => "the event",
            (_, Some(true)) => "a duplicate that differs",
            _ => "a duplicate",
        };
        screen.line(label, format!("{}, {what}, {}", origin_of(other), time(other.created_at)));
        label = "";
    }
    let more = written.same_id.len().saturating_sub(OTHERS);
    if more > 0 {
        screen.line("", format!("… and {more} more; --json names all of them"));
    }
}

fn draw_batch(screen: &mut Screen, batch: Option<&Batch>, created_at: DateTime<Utc>) {
    let Some(batch) = batch else {
        return screen.line("batch", format!("none is known; committed {}", time(created_at)));
    };
    let replay = if batch.replay { ", a replay" } else { "" };
    screen.line(
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
    screen.line("", format!("{} rows: {}", HumanCount(batch.rows.unsigned_abs()), counts.join(", ")));
    screen.line(
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
    screen.line(
        "",
        format!(
            "{}fetched {}, write began {}",
            written.unwrap_or_default(),
            clock(batch.fetched_at),
            clock(batch.write_began_at)
        ),
    );
}

/// What to do about it, where something is to be done.
fn advice(story: &Story) -> Option<String> {
    match story.fate {
        Fate::Missing => Some("`millrace heal` brings it back".to_owned()),
        Fate::InFlight => {
            Some("its file is not closed, so it may be on its way: `millrace verify` tells".to_owned())
        }
        Fate::Twice => {
            let read = story.text.as_ref().and_then(|text| text.read_as);
            let read = read.map(|id| format!(", event {id},")).unwrap_or_default();
            Some(format!("the file has one such row{read} so the other is to be deleted"))
        }
        _ => None,
    }
}

/// The event that a duplicate repeats.
fn event_of(duplicate: &Written) -> Option<&Other> {
    duplicate.same_id.iter().find(|other| other.fate == "events")
}

fn origin_of(other: &Other) -> String {
    match (&other.file, other.file_id, other.source_row) {
        (Some(file), _, Some(row)) => format!("row {row} of {file}"),
        (None, Some(file_id), Some(row)) => format!("row {row} of file {file_id}"),
        _ => "a row that came past Millrace".to_owned(),
    }
}

fn cut(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() { shown + " …" } else { shown }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}
