//! The rows of one `file_id` enter; which contents of the file they are a beginning of leaves.

use ledger::row_outcomes::{RowOutcome, Table};

use super::Findings;
use crate::chaos::expected::WrittenFile;
use crate::chaos::file_writer::content::Content;
use crate::chaos::file_writer::rows::{HEADER, Rows};

/// What one `file_id` has of its file.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) file_id: i64,
    /// How many rows it has.
    pub(super) rows: usize,
    /// The contents that they are a beginning of, by number.
    pub(super) fits: Vec<usize>,
    /// Whether they are everything that the file has at the end.
    pub(super) is_complete: bool,
}

/// How far rows follow a content.
struct Walk {
    /// The rows that were found to follow it.
    rows: usize,
    /// Where they end, in bytes.
    end: usize,
    lost: u64,
    /// The first row that does not follow it.
    wrong: Option<i64>,
}

/// Follows the rows through each content. `None` where they follow none, which is in the findings then.
pub(super) fn read(
    rows: Rows,
    file: &WrittenFile,
    file_id: i64,
    found: &[RowOutcome],
    findings: &mut Findings,
) -> Option<Reading> {
    let mut once = Vec::with_capacity(found.len());
    for row in found {
        if once.last().is_some_and(|last: &&RowOutcome| last.row == row.row) {
            findings.twice += 1;
            findings.name(format!("twice: {} row {} (file_id {file_id})", file.name, row.row.unwrap_or(0)));
        } else {
            once.push(row);
        }
    }
    let walks: Vec<Walk> = file.contents().map(|content| walk(rows, content, &once)).collect();
    let last = walks.len() - 1;
    let following = || walks.iter().enumerate().filter(|(_, walk)| walk.wrong.is_none());
    if let Some(lost) = following().map(|(_, walk)| walk.lost).min() {
        if lost > 0 {
            findings.lost += lost;
            findings.name(format!("lost: {lost} rows of {} between others (file_id {file_id})", file.name));
        }
        let fits: Vec<usize> = following().filter(|(_, walk)| walk.lost == lost).map(|(at, _)| at).collect();
        let is_complete = fits.contains(&last) && walks[last].end >= file.due();
        return Some(Reading { file_id, rows: once.len(), fits, is_complete });
    }
    let best = walks.iter().max_by_key(|walk| walk.rows)?;
    let row = best.wrong?;
    findings.wrong += (once.len() - best.rows) as u64;
    let table = once.iter().find(|one| one.row == Some(row)).map(|one| &one.table);
    findings.name(format!("wrong: {} from row {row} on (file_id {file_id}): {table:?}", file.name));
    None
}

fn walk(rows: Rows, content: &Content, found: &[&RowOutcome]) -> Walk {
    let bytes = content.bytes(rows);
    let mut walk = Walk { rows: 0, end: HEADER.len(), lost: 0, wrong: None };
    let mut next_row = 1;
    for one in found {
        let row = one.row.unwrap_or(0);
        while next_row < row && walk.end < bytes.len() {
            // Rows are missing: each was a line, as far as can be said.
            walk.end = line_end(&bytes, walk.end);
            walk.end += usize::from(walk.end < bytes.len());
            walk.lost += 1;
            next_row += 1;
        }
        let Some(end) = row_end(rows, content, &bytes, walk.end, &one.table) else {
            walk.wrong = Some(row);
            return walk;
        };
        walk.end = end;
        walk.rows += 1;
        next_row = row + 1;
    }
    walk
}

/// Where the row ends that begins at `start`, behind its line end, if it is this one.
fn row_end(rows: Rows, content: &Content, bytes: &[u8], start: usize, table: &Table) -> Option<usize> {
    let line_end = line_end(bytes, start);
    let cuts = content.cuts.iter().copied().filter(|cut| (start + 1..line_end).contains(cut));
    let end = cuts.chain([line_end]).find(|end| is_row(rows, content, &bytes[start..*end], table))?;
    // What was cut off at the end of its line has no rest but the line end.
    Some(if end == line_end { (end + 1).min(bytes.len()) } else { end })
}

fn is_row(rows: Rows, content: &Content, line: &[u8], table: &Table) -> bool {
    match (rows.parse(content.of(), line), table) {
        (Some(good), Table::Events { event_id, content } | Table::Duplicates { event_id, content, .. }) => {
            good.event_id == *event_id && good.content == *content
        }
        (None, Table::Corrupt(raw)) => line == raw,
        _ => false,
    }
}

fn line_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| start + length)
}
