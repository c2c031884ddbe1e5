//! The account: what became of the rows of each file, as a table for people and as JSON for scripts.

use std::path::PathBuf;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use consumer::account::FileAccount;
use indicatif::HumanCount;
use serde::Serialize;

/// How many files the table for people shows.
const SHOWN: usize = 20;

/// Half of the rows took longer than this: it was the files' age that was measured.
pub(crate) const OLD_MS: f64 = 60_000.0;

/// The account of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    /// All files together.
    pub total: Total,
    /// Each file.
    pub files: Vec<FileAccount>,
    /// Files that could not be read.
    pub parked: Vec<Parked>,
    /// Whether rows read = events + duplicates + corrupt records, for every file.
    pub law_holds: bool,
    /// Whether a signal ended the run.
    pub interrupted: bool,
    /// Rows that this run put into tables.
    pub rows_written: u64,
    /// Those a second, from the beginning of reading to the last commit.
    pub rows_per_second: f64,
    /// Milliseconds from written to its file to queryable.
    pub latency_ms: Latency,
}

/// Sums over files.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Total {
    pub rows_read: i64,
    pub events: i64,
    pub duplicates: i64,
    pub corrupt_records: i64,
}

/// A file that could not be read.
#[derive(Debug, Serialize)]
pub(crate) struct Parked {
    pub file: PathBuf,
    pub reason: String,
}

/// Half of the rows took no longer than `p50`, 99 of 100 no longer than `p99`.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub p50: f64,
    pub p99: f64,
}

impl Total {
    pub(crate) fn of(files: &[FileAccount]) -> Self {
        files.iter().fold(Self::default(), |sum, file| Self {
            rows_read: sum.rows_read + file.rows_read,
            events: sum.events + file.events,
            duplicates: sum.duplicates + file.duplicates,
            corrupt_records: sum.corrupt_records + file.corrupt_records,
        })
    }
}

impl Account {
    /// Whether nothing is broken, and every file is closed unless the run was interrupted.
    pub(crate) fn is_well(&self) -> bool {
        let complete = self.interrupted || self.files.iter().all(|file| file.closed);
        self.parked.is_empty() && complete && (self.law_holds || self.interrupted)
    }

    /// As a table and one line.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![self.table().to_string()];
        let parked = self.parked.iter();
        lines.extend(parked.map(|parked| format!("parked: {}: {}", parked.file.display(), parked.reason)));
        let (all, open) = (self.files.len(), self.files.iter().filter(|file| !file.closed).count());
        if open > 0 {
            lines.push(format!("{open} of {all} files are not complete; the next run goes on with them"));
        }
        let Latency { p50, p99 } = self.latency_ms;
        lines.push(if self.rows_written == 0 {
            "nothing new: every row was in its table before".to_owned()
        } else if p50 > OLD_MS {
            format!("{:.0} rows/s; the files are older than this run", self.rows_per_second)
        } else {
            let rate = self.rows_per_second;
            format!("{rate:.0} rows/s, from written to queryable p50 {p50:.1} ms, p99 {p99:.1} ms")
        });
        lines.join("\n")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["file", "rows read", "events", "duplicates", "corrupt", ""]);
        for file in self.files.iter().take(SHOWN) {
            let counts = [file.rows_read, file.events, file.duplicates, file.corrupt_records];
            table.add_row(row(&file.file, counts, if file.closed { "closed" } else { &file.state }));
        }
        if self.files.len() > SHOWN {
            table.add_row([format!("… and {} more", self.files.len() - SHOWN)]);
        }
        let total = &self.total;
        let counts = [total.rows_read, total.events, total.duplicates, total.corrupt_records];
        let law = if self.law_holds { "the law holds" } else { "THE LAW DOES NOT HOLD" };
        table.add_row(row("total", counts, law));
        for column in table.column_iter_mut().skip(1).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn row(name: &str, counts: [i64; 4], state: &str) -> Vec<String> {
    let count = |count: i64| HumanCount(count.unsigned_abs()).to_string();
    let mut cells = vec![name.to_owned()];
    cells.extend(counts.map(count));
    cells.push(state.to_owned());
    cells
}
