//! An explanation as text for people: aligned lines, the outcome of the row first.

mod row_outcomes;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use common::printable::printable;
use indicatif::HumanCount;
use ledger::row_history::{SameId, Written};
use terminal_size::Width;

use super::explanation::{Explanation, RowOutcome, Text, escaped};
use super::find::FileFacts;
use row_outcomes::{origin_of, render_rejected, render_written};

/// Columns of the labels.
const LABEL: usize = 12;
/// Text gets at least so many columns.
const NARROWEST: usize = 20;
/// The longest text that is shown, in characters.
const LONGEST: usize = 1_000;

/// Lines with a label each, or below the one before. On a terminal long ones are folded.
#[derive(Debug)]
struct Lines {
    text: String,
    /// Characters of a line.
    width: usize,
}

impl Lines {
    fn new(headline: &str) -> Self {
        let terminal = terminal_size::terminal_size_of(std::io::stdout());
        Self {
            text: printable(headline).into_owned() + "\n",
            width: terminal.map_or(usize::MAX, |(Width(width), _)| width.into()),
        }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, label: &str, text: impl AsRef<str>) {
        self.folded(&format!("{label:<LABEL$}"), text.as_ref());
    }

    /// As it stands, so that it can be copied.
    fn raw(&mut self, label: &str, text: &str) {
        let _ = write!(self.text, "\n{label:<LABEL$}{}", printable(text));
    }

    /// `text` behind `before`, and what does not fit the line below it.
    fn folded(&mut self, before: &str, text: &str) {
        let indent = before.chars().count();
        let mut before = before;
        let spaces = " ".repeat(indent);
        for part in fold(&printable(text), self.width.saturating_sub(indent).max(NARROWEST)) {
            let _ = write!(self.text, "\n{before}{part}");
            before = &spaces;
        }
    }
}

/// Parts of at most `room` characters, between words where that is possible.
fn fold(text: &str, room: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(room) {
        let cut = rest[..end].rfind(' ').filter(|at| *at > 0).map_or(end, |space| space + 1);
        parts.push(rest[..cut].trim_end());
        rest = &rest[cut..];
    }
    parts.push(rest);
    parts
}

pub(super) fn render(explanation: &Explanation) -> String {
    let mut lines = Lines::new(&headline(explanation));
    if let Some(file) = &explanation.file {
        render_file(&mut lines, file);
    }
    render_text(&mut lines, explanation);
    for record in &explanation.history.corrupt_records {
        render_rejected(&mut lines, record);
    }
    for event in &explanation.history.events {
        render_written(&mut lines, "event", event);
    }
    for duplicate in &explanation.history.duplicates {
        render_written(&mut lines, "duplicate", duplicate);
    }
    if let Some(advice) = advice(explanation) {
        lines.blank();
        lines.line("next", advice);
    }
    lines.text
}

fn headline(explanation: &Explanation) -> String {
    let name = explanation.name();
    match explanation.outcome {
        RowOutcome::Event => format!("{name} is an event"),
        RowOutcome::Duplicate => {
            let event = explanation.history.duplicates.first().and_then(event_of);
            let of = event.map_or_else(
                || "of an event that is not in the table any more".to_owned(),
                |event| format!("of {}", origin_of(event)),
            );
            format!("{name} is a duplicate {of}")
        }
        RowOutcome::Rejected => format!("{name} was rejected"),
        RowOutcome::Twice => format!("{name} is there TWICE"),
        RowOutcome::InFlight => format!("{name} is in none of the tables yet"),
        RowOutcome::Missing => format!("{name} is in NONE of the tables"),
        RowOutcome::NoSuchRow => {
            let rows = explanation.file.as_ref().map_or(0, |file| file.rows_read.unsigned_abs());
            format!("there is no {name}: it has {} rows", HumanCount(rows))
        }
    }
}

fn render_file(lines: &mut Lines, file: &FileFacts) {
    lines.line("file", format!("{}  (id {})", file.file, file.file_id));
    let rows = HumanCount(file.rows_read.unsigned_abs());
    lines.line(
        "",
        match (&file.state, file.closed_at) {
            (None, _) => "the database does not know it".to_owned(),
            (Some(state), None) => format!("{state}, {rows} rows so far, not closed"),
            (Some(state), Some(at)) => format!("{state}, {rows} rows, closed {}", time(at)),
        },
    );
    let place = file.place.as_ref().filter(|place| place.as_os_str() != file.file.as_str());
    match (file.tailer, place) {
        (Some(state), Some(place)) => lines.line("", format!("{state}, now {}", place.display())),
        (Some("deleted"), None) => lines.line("", "deleted since"),
        _ => {}
    }
}

fn render_text(lines: &mut Lines, explanation: &Explanation) {
    let row = explanation.row.map(|row| row.to_string()).unwrap_or_default();
    match (&explanation.text, &explanation.unread) {
        (Some(text), _) => {
            let span = text.byte_start.zip(text.byte_end);
            let span = span.map(|(start, end)| format!(", bytes {start} to {end} of the file"));
            lines.line("row", row + &span.unwrap_or_default());
            render_raw(lines, text);
        }
        (None, Some(why)) if explanation.outcome != RowOutcome::NoSuchRow => {
            lines.line("row", row);
            lines.line("text", format!("not known: {why}"));
        }
        _ => {}
    }
    if explanation.has_changed() {
        lines.line("", "the file has changed: this is another row than the one that was read");
    }
}

fn render_raw(lines: &mut Lines, text: &Text) {
    let raw = escaped(&text.raw);
    let shown: String = raw.chars().take(LONGEST).collect();
    let is_cut = text.truncated || shown.len() < raw.len();
    lines.raw("text", &if is_cut { format!("{shown} …") } else { shown });
    if let Some(why) = &text.read_as_rejected {
        lines.line("", format!("read now it is no event: {why}"));
    }
}

/// What to do about it, where something is to be done.
fn advice(explanation: &Explanation) -> Option<String> {
    match explanation.outcome {
        RowOutcome::Missing => Some("`millrace heal` brings it back".to_owned()),
        RowOutcome::InFlight => Some(
            "its file is not closed, so it may be on its way: `millrace verify` shows whether it is"
                .to_owned(),
        ),
        RowOutcome::Twice => {
            let read = explanation.text.as_ref().and_then(|text| text.read_as);
            let read = read.map(|id| format!(", event {id},")).unwrap_or_default();
            Some(format!("the file has one such row{read} so the other is to be deleted"))
        }
        _ => None,
    }
}

/// The event that a duplicate repeats.
fn event_of(duplicate: &Written) -> Option<&SameId> {
    duplicate.same_id.iter().find(|other| other.fate == "events")
}

fn cut(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() { shown + " …" } else { shown }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_between_words() {
        assert_eq!(fold("one two three", 8), ["one two", "three"]);
        assert_eq!(fold("a_long_word and äöü", 6), ["a_long", "_word", "and", "äöü"]);
        assert_eq!(fold("", 6), [""]);
    }
}
