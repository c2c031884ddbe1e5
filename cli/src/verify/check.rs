//! One file: what the tables hold of it, compared with its totals and with its checkpoint.

use std::collections::BTreeMap;

use common::RowSet;
use ledger::file_rows::FileRows;
use ledger::file_totals::FileTotals;
use producer::CheckpointSummary;
use serde::Serialize;

/// What is to be said of a file, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Rows are missing, or too many.
    Broken,
    /// Read to its end, and its last rows are on their way.
    InFlight,
    /// Rows may still come.
    Open,
    /// Each row that was read is in one table.
    Holds,
}

/// A file that was checked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Checked {
    #[serde(flatten)]
    pub(super) totals: FileTotals,
    pub(super) verdict: Verdict,
    /// Whether the database has totals of it.
    pub(super) in_database: bool,
    /// Rows that are in no table.
    pub(super) missing: RowSet,
    /// Rows that nobody has read, and rows that are there twice.
    pub(super) too_many: RowSet,
    /// Of those, the ones that nobody has read.
    #[serde(skip)]
    pub(super) beyond: RowSet,
    /// And the ones that are there twice, by the tables that they are in.
    #[serde(skip)]
    pub(super) twice: BTreeMap<String, RowSet>,
}

/// What tables and checkpoints say of one file.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) ledger: FileRows,
    /// What its checkpoint says, where that is on this machine.
    pub(super) tailer: Option<CheckpointSummary>,
    pub(super) in_database: bool,
}

impl Evidence {
    /// Joins what is known of each file. A file that the tailer has seen closed has totals in any case: its own.
    pub(super) fn join(ledgers: Vec<FileRows>, known: Vec<CheckpointSummary>) -> Vec<Self> {
        let mut known: BTreeMap<i64, CheckpointSummary> =
            known.into_iter().map(|file| (file.file_id.get(), file)).collect();
        let mut all: Vec<Self> = ledgers
            .into_iter()
            .map(|ledger| Self { tailer: known.remove(&ledger.totals.file_id), ledger, in_database: true })
            .collect();
        let lost = known.into_values().filter(|file| file.is_closed);
        all.extend(lost.map(|file| Self {
            ledger: FileRows::empty(file.file_id.get(), file.path.display().to_string()),
            tailer: Some(file),
            in_database: false,
        }));
        for one in &mut all {
            one.take_tailers_word();
        }
        all
    }

    fn take_tailers_word(&mut self) {
        let Some(tailer) = self.tailer.as_ref().filter(|tailer| tailer.is_closed) else { return };
        let totals = &mut self.ledger.totals;
        totals.rows_read = totals.rows_read.max(tailer.rows);
        if totals.is_open() {
            totals.file = tailer.path.display().to_string();
            "finished".clone_into(&mut totals.state);
            self.in_database = false;
        }
    }

    /// The verdict, where `is_settled` says that all messages of it that there were are committed.
    pub(super) fn check(&self, is_settled: bool) -> Checked {
        Checked {
            totals: self.ledger.totals.clone(),
            verdict: self.verdict(is_settled),
            in_database: self.in_database,
            missing: self.ledger.missing(),
            too_many: self.ledger.too_many(),
            beyond: self.ledger.beyond(),
            twice: self.ledger.twice.clone(),
        }
    }

    fn verdict(&self, is_settled: bool) -> Verdict {
        let totals = &self.ledger.totals;
        let reading = self.tailer.as_ref().filter(|tailer| tailer.is_reading);
        let is_closed = totals.closed || self.tailer.as_ref().is_some_and(|tailer| tailer.is_closed);
        let missing = !self.ledger.missing().is_empty();
        if totals.is_open() {
            Verdict::Open
        } else if !self.in_database || !self.ledger.twice.is_empty() || (missing && is_closed) {
            Verdict::Broken
        } else if !self.ledger.beyond().is_empty() {
            // It has grown since its totals, and others will come. Where its checkpoint is on another machine, rows that
            // follow each other up to the last one are taken for that.
            let present = &self.ledger.present;
            let is_whole = present.missing_up_to(present.last()).is_empty();
            let begins = present.ranges().first().is_some_and(|(first, _)| *first >= 1);
            let grows = self.tailer.is_none() && begins && (is_whole || !is_settled);
            if reading.is_some() || grows { Verdict::Open } else { Verdict::Broken }
        } else if !missing {
            Verdict::Holds
        } else if !is_settled || reading.is_some_and(|tailer| tailer.rows < totals.rows_read) {
            Verdict::InFlight
        } else {
            Verdict::Broken
        }
    }
}

#[cfg(test)]
mod tests;
