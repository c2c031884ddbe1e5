//! What was found, as a table with what is wrong below it for people, and as JSON for scripts.

use common::printable::printable;
use common::{RowSet, print_json, print_text};
use indicatif::HumanCount;
use serde::Serialize;

use super::check::{Checked, Verdict};
use super::in_flight::Messages;
use crate::run_report::{RunReport, Total, doubtful_ids, table};

/// How many broken files, and ranges of rows, are told one by one.
const SHOWN: usize = 20;

/// The result: the report of a run, and more.
#[derive(Debug, Serialize)]
pub(crate) struct Proof {
    #[serde(flatten)]
    pub(super) report: RunReport<Checked>,
    pub(super) in_flight: InFlight,
    /// Why the database cannot be relied on, where it lacks what was acknowledged.
    pub(super) gone_back: Option<String>,
}

/// What is between the files and the tables.
#[derive(Debug, Serialize)]
pub(super) struct InFlight {
    /// Messages that no consumer was given yet; not known where the broker does not answer.
    pending: Option<u64>,
    /// Messages that a consumer was given and did not acknowledge.
    unacknowledged: Option<u64>,
    /// Files to which rows may still come.
    open: Vec<String>,
    /// Files that were read to their end, and wait for their last rows.
    waiting: Vec<String>,
}

impl InFlight {
    pub(super) fn of(files: &[Checked], messages: Option<Messages>) -> Self {
        let named = |verdict| {
            let files = files.iter().filter(|file| file.verdict == verdict);
            files.map(|file| file.totals.file.clone()).collect()
        };
        Self {
            pending: messages.map(|messages| messages.status.pending()),
            unacknowledged: messages.map(|messages| messages.status.unacknowledged()),
            open: named(Verdict::Open),
            waiting: named(Verdict::InFlight),
        }
    }

    /// As a line, where there is anything in flight.
    fn line(&self) -> Option<String> {
        let count = |what: &str, count: u64| (count > 0).then(|| format!("{what} {}", HumanCount(count)));
        let parts = [
            self.pending
                .map_or(Some("messages not known".to_owned()), |pending| count("unread messages", pending)),
            self.unacknowledged.and_then(|messages| count("unacknowledged messages", messages)),
            count("files that wait for their last rows", self.waiting.len() as u64),
            count("open files", self.open.len() as u64),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("in flight: {}", parts.join(", ")))
    }
}

impl Proof {
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            print_json(self)?;
        } else {
            print_text(self.to_text());
        }
        Ok(())
    }

    pub(crate) fn is_reconciled(&self) -> bool {
        self.report.reconciled.is_true()
    }

    pub(crate) fn total(&self) -> Total {
        self.report.total
    }

    /// What is wrong, a line each; only the first files, where there are many.
    pub(crate) fn faults(&self) -> Vec<String> {
        let broken = self.broken().count();
        let mut faults: Vec<String> = self.broken().take(SHOWN).flat_map(Checked::faults).collect();
        if broken > SHOWN {
            faults.push(format!("… and {} more files are broken; --json names all of them", broken - SHOWN));
        }
        faults.extend(self.gone_back.clone());
        faults
    }

    /// What to do about it; `None` where nothing is broken.
    pub(crate) fn way_out(&self) -> Option<String> {
        let Some(worst) = self.broken().next() else {
            return self.gone_back.as_ref().map(|_| "`millrace heal` brings back what is missing".to_owned());
        };
        let example = quoted(&printable(&worst.example()));
        let heals = self.broken().any(|file| !file.missing.is_empty());
        let heal = if heals { ", `millrace heal` brings back what is missing" } else { "" };
        Some(format!("`millrace explain {example}` shows a row{heal}"))
    }

    fn broken(&self) -> impl Iterator<Item = &Checked> {
        self.report.files.iter().filter(|file| file.verdict == Verdict::Broken)
    }

    fn to_text(&self) -> String {
        let RunReport { total, files, reconciled, .. } = &self.report;
        let rows: Vec<_> = files.iter().map(|file| (&file.totals, file.state())).collect();
        let mut lines = vec![table(&rows, total, reconciled.as_str())];
        lines.extend(self.faults());
        lines.extend(doubtful_ids(files.iter().map(|file| &file.totals)));
        lines.extend(self.in_flight.line());
        lines.extend(self.way_out());
        lines.push(match self.broken().count() {
            0 if !reconciled.is_true() => "NOT RECONCILED: the database has lost commits".to_owned(),
            0 => format!("reconciled: {total}"),
            broken => {
                let [broken, all] = [broken, files.len()].map(|count| HumanCount(count as u64));
                format!("NOT RECONCILED: {broken} of {all} files")
            }
        });
        lines.join("\n")
    }
}

impl Checked {
    fn state(&self) -> &str {
        match self.verdict {
            Verdict::Broken => "BROKEN",
            Verdict::InFlight => "in flight",
            Verdict::Open => "open",
            Verdict::Holds if self.totals.closed => "closed",
            Verdict::Holds => "holds",
        }
    }

    /// A line for each thing that is wrong with it.
    fn faults(&self) -> Vec<String> {
        let file = printable(&self.totals.file);
        let mut faults = Vec::new();
        if !self.in_database {
            faults.push(format!(
                "{file}: the database does not know it, but its tailer put it away as complete"
            ));
        }
        if !self.missing.is_empty() {
            faults.push(format!("{file}: {} missing", are(&self.missing)));
        }
        if !self.beyond.is_empty() {
            let read = HumanCount(self.totals.rows_read.unsigned_abs());
            faults.push(format!("{file}: {} there, but {read} rows were read", are(&self.beyond)));
        }
        for (tables, rows) in &self.twice {
            faults.push(format!("{file}: {} there twice, in {tables}", are(rows)));
        }
        faults
    }

    /// A row of it that is at fault, as `millrace explain` takes it.
    fn example(&self) -> String {
        let rows = if self.missing.is_empty() { &self.too_many } else { &self.missing };
        format!("{}:{}", self.totals.file, rows.ranges().first().map_or(1, |range| range.0))
    }
}

/// `row 3 is`, `rows 3, 7-9 are`; the first ranges, where there are many.
fn are(rows: &RowSet) -> String {
    let ranges = rows.ranges();
    let first: RowSet = ranges.iter().take(SHOWN).copied().collect();
    if ranges.len() > SHOWN {
        return format!("rows {first} and others, {} in all, are", HumanCount(rows.len().unsigned_abs()));
    }
    if rows.len() == 1 { format!("row {first} is") } else { format!("rows {first} are") }
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |sign: char| sign.is_alphanumeric() || "_-./:+@%,".contains(sign);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
