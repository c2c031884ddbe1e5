//! The report of a run: the totals of each file, as a table for people and as JSON for scripts.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use common::printable::{Printable, printable};
use indicatif::HumanCount;
use ledger::file_totals::FileTotals;
use serde::{Serialize, Serializer};
use terminal_size::Width;

/// How many files the table for people shows.
const SHOWN: usize = 20;

/// A narrower column of names would show nothing.
const SHORTEST: usize = 20;

/// Half of the rows took longer than this: it was the files' age that was measured.
pub(crate) const OLD_MS: f64 = 60_000.0;

/// The report of a run, or of all files in the database. `F` is what it says of each file.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport<F = FileTotals> {
    pub total: Total,
    pub files: Vec<F>,
    /// Files that cannot be read.
    pub parked: Vec<Parked>,
    #[serde(flatten)]
    pub reconciled: Reconciled,
    /// Whether a signal ended the run.
    pub interrupted: bool,
    /// Rows that this run put into tables.
    pub rows_written: u64,
    /// Those a second, from the beginning of reading to the last commit.
    pub rows_per_second: f64,
    /// Milliseconds from written to its file to queryable.
    pub latency_ms: Latency,
}

/// Whether rows read = events + duplicates + corrupt records, for every file. The second key is the name that it had
/// first, and stays until version 1.0.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Reconciled {
    reconciled: bool,
    law_holds: bool,
}

impl From<bool> for Reconciled {
    fn from(reconciled: bool) -> Self {
        Self { reconciled, law_holds: reconciled }
    }
}

impl Reconciled {
    pub(crate) fn is_true(self) -> bool {
        self.reconciled
    }

    /// Two words, for a table.
    pub(crate) fn as_str(self) -> &'static str {
        if self.reconciled { "reconciled" } else { "NOT RECONCILED" }
    }
}

/// Sums over files.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Total {
    pub rows_read: i64,
    pub events: i64,
    pub duplicates: i64,
    pub corrupt_records: i64,
}

/// A file that could not be read.
#[derive(Debug, Serialize)]
pub(crate) struct Parked {
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    pub reason: String,
}

/// Half of the rows took no longer than `p50`, 99 of 100 no longer than `p99`.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub p50: f64,
    pub p99: f64,
}

/// A path for scripts: JSON has no place for bytes that are not UTF-8, which become U+FFFD.
pub(crate) fn path_as_text<S: Serializer>(path: impl AsRef<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.as_ref().display())
}

/// As an equation: `20,000 read = 19,990 events + 4 duplicates + 6 corrupt`.
impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [read, events, duplicates, corrupt] =
            [self.rows_read, self.events, self.duplicates, self.corrupt_records]
                .map(|count| HumanCount(count.unsigned_abs()));
        write!(f, "{read} read = {events} events + {duplicates} duplicates + {corrupt} corrupt")
    }
}

impl Total {
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = &'a FileTotals>) -> Self {
        files.into_iter().fold(Self::default(), |sum, file| Self {
            rows_read: sum.rows_read + file.rows_read,
            events: sum.events + file.events,
            duplicates: sum.duplicates + file.duplicates,
            corrupt_records: sum.corrupt_records + file.corrupt_records,
        })
    }
}

impl RunReport {
    /// Whether nothing is broken, and every file is closed unless the run was interrupted.
    pub(crate) fn is_well(&self) -> bool {
        let complete = self.interrupted || self.files.iter().all(|file| file.closed);
        self.parked.is_empty() && complete && (self.reconciled.is_true() || self.interrupted)
    }

    /// As a table and one line.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![self.table()];
        let parked = self.parked.iter();
        lines.extend(parked.map(|parked| {
            format!("parked: {}: {}", Printable(parked.file.display()), printable(&parked.reason))
        }));
        lines.extend(doubtful_ids(self.files.iter()));
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

    fn table(&self) -> String {
        let files: Vec<_> = self.files.iter().map(|file| (file, state(file))).collect();
        table(&files, &self.total, self.reconciled.as_str())
    }
}

fn state(file: &FileTotals) -> &str {
    if file.closed { "closed" } else { &file.state }
}

/// A line for each file whose ids are hardly those of events, the first of them if there are many.
pub(crate) fn doubtful_ids<'a>(files: impl Iterator<Item = &'a FileTotals>) -> Vec<String> {
    let doubtful: Vec<&FileTotals> = files.filter(|file| file.has_doubtful_ids()).collect();
    let mut lines: Vec<String> = doubtful
        .iter()
        .take(SHOWN)
        .map(|file| {
            let [differing, read] = [file.differing_duplicates, file.rows_read]
                .map(|count| HumanCount(count.unsigned_abs()));
            let name = printable(&file.file);
            format!("doubtful ids: {differing} of {read} rows of {name} have the id of another row and other content")
        })
        .collect();
    if doubtful.len() > SHOWN {
        lines.push(format!("… and {} more files", doubtful.len() - SHOWN));
    }
    if !doubtful.is_empty() {
        lines.push(
            "such rows are in duplicates; where they are events, set id_scope or event_id in a [[source]], as \
             `millrace producer check FILE` says"
                .to_owned(),
        );
    }
    lines
}

/// A line a file with its `state`, the first of them if there are many, and one for their sum. Where a terminal is too
/// narrow for it, names lose their beginning.
pub(crate) fn table(files: &[(&FileTotals, &str)], total: &Total, status: &str) -> String {
    let whole = lay_out(files, total, status, usize::MAX).to_string();
    let width = whole.lines().next().map_or(0, |line| line.chars().count());
    match terminal_size::terminal_size_of(std::io::stdout()) {
        Some((Width(room), _)) if width > usize::from(room) => {
            let longest = files
                .iter()
                .take(SHOWN)
                .map(|(file, _)| printable(&file.file).chars().count())
                .max()
                .unwrap_or(0);
            let excess = width - usize::from(room);
            lay_out(files, total, status, longest.saturating_sub(excess).max(SHORTEST)).to_string()
        }
        _ => whole,
    }
}

fn lay_out(files: &[(&FileTotals, &str)], total: &Total, status: &str, longest: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["file", "rows read", "events", "duplicates", "corrupt", ""]);
    for (file, state) in files.iter().take(SHOWN) {
        let counts = [file.rows_read, file.events, file.duplicates, file.corrupt_records];
        table.add_row(row(&end_of(&printable(&file.file), longest), counts, state));
    }
    if files.len() > SHOWN {
        table.add_row([format!("… and {} more", files.len() - SHOWN)]);
    }
    let counts = [total.rows_read, total.events, total.duplicates, total.corrupt_records];
    table.add_row(row("total", counts, status));
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The end of a name that has more than `longest` characters.
fn end_of(name: &str, longest: usize) -> Cow<'_, str> {
    let left_out = name.chars().count().saturating_sub(longest);
    match name.char_indices().nth(left_out + 1) {
        Some((start, _)) if left_out > 0 => format!("…{}", &name[start..]).into(),
        _ => name.into(),
    }
}

fn row(name: &str, counts: [i64; 4], state: &str) -> Vec<String> {
    let count = |count: i64| HumanCount(count.unsigned_abs()).to_string();
    let mut cells = vec![name.to_owned()];
    cells.extend(counts.map(count));
    cells.push(state.to_owned());
    cells
}
