//! What was done, as lines for people and as JSON for scripts.

use common::printable::printable;
use common::{RowSet, print_json, print_text};
use indicatif::HumanCount;
use ledger::repair::{Correction, Gap};
use producer::heal::HealedFile;
use serde::Serialize;

use crate::run_report::{Reconciled, Total};
use crate::verify::Proof;

/// How many files, and ranges of rows, are told one by one.
const SHOWN: usize = 20;

/// What was done, or would be.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether it only would be.
    dry_run: bool,
    #[serde(flatten)]
    pub(super) reconciled: Reconciled,
    /// Files whose sums were wrong, and by how much.
    corrected: Vec<Correction>,
    /// Files of which something was missing.
    files: Vec<Healed>,
    /// Whether the database had gone back, and had nothing to put back that showed it.
    pub(super) caught_up: bool,
    /// Messages that the database has lost and that nothing here accounts for.
    pub(super) gaps: Vec<Gap>,
    /// What is still wrong, a sentence each.
    faults: Vec<String>,
    #[serde(skip)]
    total: Total,
}

/// What was done about one file.
#[derive(Debug, Serialize)]
struct Healed {
    file_id: i64,
    file: String,
    /// Rows that were published again from the stream.
    from_stream: RowSet,
    /// Rows that were published again from the file.
    from_file: RowSet,
    /// Whether its totals were published again.
    #[serde(rename = "account")]
    totals: bool,
    /// Rows that are neither in the database, nor in the stream, nor in a file.
    lost: RowSet,
    /// Why not.
    why: String,
}

impl Report {
    pub(super) fn new(corrected: Vec<Correction>) -> Self {
        Self { corrected, ..Self::default() }
    }

    /// Of what would be done.
    pub(super) fn rehearsed(corrected: Vec<Correction>) -> Self {
        Self { dry_run: true, ..Self::new(corrected) }
    }

    /// Adds what one round has published; whether it was anything.
    pub(super) fn add(&mut self, refilled: Vec<HealedFile>) -> bool {
        let mut is_new = false;
        // Each round finds out anew what is lost.
        for known in &mut self.files {
            known.lost = RowSet::EMPTY;
        }
        for file in refilled {
            is_new |= file.totals || !file.from_stream.is_empty() || !file.from_file.is_empty();
            let file_id = file.file_id.get();
            match self.files.iter_mut().find(|known| known.file_id == file_id) {
                Some(known) => known.add(file),
                None => self.files.push(file.into()),
            }
        }
        is_new
    }

    /// Takes over what is true at the end. Rows of a file that is still open can be lost although it may yet be reconciled
    /// as far as the tables show.
    pub(super) fn conclude(&mut self, proof: &Proof) {
        self.reconciled =
            (proof.is_reconciled() && self.files.iter().all(|file| file.lost.is_empty())).into();
        self.total = proof.total();
        self.faults = proof.faults();
    }

    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            print_json(self)?;
        } else {
            print_text(self.to_text());
        }
        Ok(())
    }

    fn to_text(&self) -> String {
        let mut lines: Vec<String> =
            self.files.iter().take(SHOWN).flat_map(|file| file.lines(self.dry_run)).collect();
        if self.files.len() > SHOWN {
            lines.push(format!("… and {} more files; --json names all of them", self.files.len() - SHOWN));
        }
        if !self.corrected.is_empty() {
            let done = if self.dry_run { "would be corrected" } else { "corrected" };
            let files = match self.corrected.len() {
                1 => "1 file".to_owned(),
                count => format!("{count} files"),
            };
            lines.push(format!("sums of {files} {done}"));
        }
        if self.caught_up {
            lines.push("the database knows again how far the stream was acknowledged".to_owned());
        }
        if lines.is_empty() && self.reconciled.is_true() {
            lines.push("nothing to heal".to_owned());
        }
        lines.extend(self.faults.iter().cloned());
        lines.extend(self.gaps.iter().map(unaccounted));
        lines.push(match (self.reconciled.is_true(), self.dry_run) {
            (true, _) => format!("reconciled: {}", self.total),
            (false, true) => "NOT RECONCILED: run `millrace heal`".to_owned(),
            (false, false) => "NOT RECONCILED: what is named above cannot be healed from here".to_owned(),
        });
        lines.join("\n")
    }
}

/// Which files have their checkpoints elsewhere, and what to do.
fn unaccounted(gap: &Gap) -> String {
    let known = match gap.not_held.as_slice() {
        [] => "no checkpoint here says which files there were".to_owned(),
        [one] => format!(
            "{} has no checkpoint here, so that another producer's machine knows more",
            printable(one)
        ),
        [one, others @ ..] => format!(
            "{} and {} more have no checkpoint here, so that another producer's machine knows more",
            printable(one),
            others.len()
        ),
    };
    format!(
        "messages {} to {} are not accounted for: {known}; run `millrace heal` on the machine of each producer, or \
         with --accept-loss where there is none",
        gap.first_sequence, gap.last_sequence
    )
}

impl Healed {
    fn add(&mut self, more: HealedFile) {
        self.from_stream = union(&self.from_stream, &more.from_stream);
        self.from_file = union(&self.from_file, &more.from_file);
        self.totals |= more.totals;
        (self.lost, self.why) = (more.lost, more.why);
    }

    fn lines(&self, dry_run: bool) -> Vec<String> {
        let file = printable(&self.file);
        let done = if dry_run { "would be put back" } else { "put back" };
        let from = |rows: &RowSet, place| {
            (!rows.is_empty()).then(|| format!("{file}: {} {done} from the {place}", named(rows)))
        };
        let are_only_totals = self.totals && self.from_stream.is_empty() && self.from_file.is_empty();
        let lines = [
            from(&self.from_stream, "stream"),
            from(&self.from_file, "file"),
            are_only_totals.then(|| format!("{file}: its totals {done}")),
            (!self.lost.is_empty()).then(|| {
                format!("{file}: {} cannot be restored: {}", named(&self.lost), printable(&self.why))
            }),
        ];
        lines.into_iter().flatten().collect()
    }
}

impl From<HealedFile> for Healed {
    fn from(file: HealedFile) -> Self {
        Self {
            file_id: file.file_id.get(),
            file: file.file,
            from_stream: file.from_stream,
            from_file: file.from_file,
            totals: file.totals,
            lost: file.lost,
            why: file.why,
        }
    }
}

fn union(some: &RowSet, more: &RowSet) -> RowSet {
    some.ranges().iter().chain(more.ranges()).copied().collect()
}

/// `row 3`, `rows 3, 7-9`; the first ranges, where there are many.
fn named(rows: &RowSet) -> String {
    let first: RowSet = rows.ranges().iter().take(SHOWN).copied().collect();
    let count = HumanCount(rows.len().unsigned_abs());
    match rows.len() {
        1 => format!("row {first}"),
        _ if rows.ranges().len() > SHOWN => format!("rows {first} and others, {count} in all,"),
        _ => format!("rows {first}"),
    }
}
