//! What was written and the tables enter; what is lost, there twice, or wrong leaves.
//!
//! The rules, for each file that was written. Its *contents* are what it had over time: a new one begins when it is
//! truncated or written anew.
//!
//! - The rows of one `file_id` are a beginning of one of the contents of one file, in order and without a gap. A line
//!   that a write has ended in its middle may be several rows, cut where a write has ended. A row that can become an
//!   event is in `events` or `duplicates` with its `event_id` and its columns; any other is in `corrupt_records` with
//!   its bytes. Anything else is *wrong*. Rows behind a gap make the missing ones *lost*.
//! - Everything that the file has at the end has to be the rows of one `file_id`, from the first to the last; what is
//!   missing of it is *lost*. Of a file that was removed or replaced, and of earlier contents, rows may be missing at
//!   the end: they may have been gone before they could be read. So may what was written into a file that the product
//!   had moved to the archive between two steps of the writer.
//! - No row is in two tables, no two `file_id`s have the same content, and there are no more of them than contents;
//!   what is beyond that is *twice*.
//! - The `event_id` of each row in `duplicates` is in `events`; otherwise it is *lost*. It says that it differs where
//!   the columns of the two rows are not the same; otherwise it is *wrong*. Which of them is the event does not matter.

mod differs;
mod reading;

use std::collections::BTreeMap;

use ledger::row_outcomes::{RowOutcome, Table};
use serde::Serialize;

use super::expected::{Expected, WrittenFile};
use differs::Differs;
use reading::{Reading, read};

/// How many rows are named.
const NAMED: usize = 10;

/// What is wrong with the tables; all zero is good.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Findings {
    /// Rows that were there to be read and are in no table.
    pub(super) lost: u64,
    /// Rows that are in tables more than once.
    pub(super) twice: u64,
    /// Rows in tables that no file has had, or that are not in the table in which they belong, or not as they were.
    pub(super) wrong: u64,
    /// Some of them.
    pub(super) named: Vec<String>,
}

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// So many duplicates repeat nothing.
    pub(super) fn add_duplicates_without_event(&mut self, count: i64) {
        self.lost += count.unsigned_abs();
        if count > 0 {
            self.name(format!("lost: {count} rows of duplicates whose event_id is not in events"));
        }
    }

    fn name(&mut self, what: String) {
        if self.named.len() < NAMED {
            self.named.push(what);
        }
    }
}

/// The comparison, a `file_id` at a time.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    expected: &'a Expected,
    /// By the number of the file.
    readings: BTreeMap<usize, Vec<Reading>>,
    differs: Differs,
    findings: Findings,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(expected: &'a Expected) -> Self {
        Self {
            expected,
            readings: BTreeMap::new(),
            differs: Differs::default(),
            findings: Findings::default(),
        }
    }

    /// The rows of one `file_id`, in order.
    pub(super) fn add(&mut self, rows: &[RowOutcome]) {
        let Some(first) = rows.first() else { return };
        for row in rows {
            self.differs.add(row);
        }
        let number = rows.iter().find_map(|row| number(&row.table));
        let file = number.and_then(|number| self.expected.files.get(number));
        let (Some(file_id), Some(number), Some(file)) = (first.file_id, number, file) else {
            self.findings.wrong += rows.len() as u64;
            self.findings
                .name(format!("wrong: rows of no file that was written, file_id {:?}", first.file_id));
            return;
        };
        let reading = read(self.expected.rows, file, file_id, rows, &mut self.findings);
        self.readings.entry(number).or_default().extend(reading);
    }

    /// When every row has been added.
    pub(super) fn end(mut self) -> Findings {
        for (number, file) in self.expected.files.iter().enumerate() {
            let readings = self.readings.remove(&number).unwrap_or_default();
            self.compare_file(file, &readings);
        }
        self.differs.compare(&mut self.findings);
        self.findings
    }

    fn compare_file(&mut self, file: &WrittenFile, readings: &[Reading]) {
        let contents: Vec<_> = file.contents().collect();
        let final_content = contents.len() - 1;
        let is_due = file.due() > 0;
        if is_due && !readings.iter().any(|one| one.is_complete) {
            let best =
                readings.iter().filter(|one| one.fits.contains(&final_content)).max_by_key(|one| one.rows);
            let (have, file_id) = best.map_or((0, 0), |one| (one.rows, one.file_id));
            let lines =
                file.last.bytes(self.expected.rows)[..file.due()].split(|byte| *byte == b'\n').count();
            let lost = lines.saturating_sub(2).max(have + 1) - have;
            self.findings.lost += lost as u64;
            let of = format!("file_id {file_id}, has {have} rows");
            self.findings.name(format!("lost: {lost} rows at the end of {} ({of})", file.name));
        }
        let mut taken = vec![None; contents.len()];
        for (number, one) in readings.iter().enumerate() {
            if !assign(readings, number, &mut taken, &mut vec![false; contents.len()]) {
                self.findings.twice += one.rows as u64;
                let name = &file.name;
                self.findings
                    .name(format!("twice: {} rows of {name}, again as file_id {}", one.rows, one.file_id));
            }
        }
    }
}

/// Gives the reading a content of its own, moving others where they fit others too: an augmenting path of a bipartite
/// matching.
fn assign(readings: &[Reading], number: usize, taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for &content in &readings[number].fits {
        if std::mem::replace(&mut tried[content], true) {
            continue;
        }
        if taken[content].is_none_or(|other| assign(readings, other, taken, tried)) {
            taken[content] = Some(number);
            return true;
        }
    }
    false
}

/// The number of the file that a row names.
fn number(table: &Table) -> Option<usize> {
    match table {
        Table::Events { content, .. } | Table::Duplicates { content, .. } => {
            content.split('|').nth(2)?.strip_prefix('f')?.parse().ok()
        }
        Table::Corrupt(_) => None,
    }
}

#[cfg(test)]
mod tests;
