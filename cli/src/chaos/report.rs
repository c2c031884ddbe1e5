//! What a run was, as a table and some lines for people, and as JSON for scripts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::HumanCount;
use ledger::file_totals::FileTotals;
use serde::Serialize;

use super::compare::Findings;
use super::counts::{Counts, OfProcess};
use super::expected::Expected;
use super::kind::Kind;
use super::observed::Observed;
use super::plan::PROCESS_GROUPS;
use crate::run_report::{Latency, Reconciled, Total};

/// The outcome of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The plan can be repeated with it.
    pub(super) seed: u64,
    /// Whether a signal ended it before the plan was at its end.
    pub(super) interrupted: bool,
    /// How long faults were struck.
    pub(super) seconds: f64,
    pub(super) kills: u64,
    pub(super) stops: u64,
    /// How often each kind was struck.
    pub(super) strikes: BTreeMap<String, u64>,
    /// How often the stream was full.
    pub(super) filled: u64,
    pub(super) processes: Vec<Group>,
    /// Of all processes.
    pub(super) recovery: Recovery,
    /// Rows that were written, with those that were removed again.
    pub(super) rows: u64,
    /// Files that were written.
    pub(super) files: usize,
    /// What the tables have.
    pub(super) total: Total,
    /// Files that are not closed.
    pub(super) open_files: usize,
    /// Rows that consumers were given again although they were in a table.
    pub(super) redelivered: i64,
    #[serde(flatten)]
    pub(super) findings: Findings,
    #[serde(flatten)]
    pub(super) reconciled: Reconciled,
    /// Whether `millrace verify` says the same.
    pub(super) verified: bool,
    /// What else went wrong.
    pub(super) complaints: Vec<String>,
    /// Whether nothing at all went wrong.
    pub(super) ok: bool,
    /// Where everything is kept for looking, where something went wrong.
    pub(super) kept: Option<PathBuf>,
}

/// What happened to one kind of process.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    process: &'static str,
    kills: u64,
    stops: u64,
    /// How often one ended although nobody had struck it.
    ended_by_itself: u64,
    recovery: Recovery,
}

/// What a run has shown.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) seed: u64,
    /// How long faults were struck.
    pub(super) seconds: f64,
    pub(super) counts: Counts,
    pub(super) expected: Expected,
    pub(super) observed: Observed,
    /// Whether `millrace verify` finds nothing wrong.
    pub(super) is_verified: bool,
}

/// Times to recover.
#[derive(Debug, Serialize)]
pub(super) struct Recovery {
    measured: usize,
    ms: Latency,
}

impl Group {
    fn all(counts: &Counts) -> Vec<Self> {
        let group = |(&process, strikes): (&&'static str, &OfProcess)| Self {
            process,
            kills: strikes.kills,
            stops: strikes.stops,
            ended_by_itself: strikes.deaths,
            recovery: Recovery::of(strikes.recoveries.clone()),
        };
        PROCESS_GROUPS.iter().zip(&counts.groups).map(group).collect()
    }
}

impl Recovery {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        // The nearest rank: half of them took no longer than p50.
        let rank = |share: usize| (times.len() * share).div_ceil(100).saturating_sub(1);
        let ms = |share| times.get(rank(share)).map_or(0.0, |time| time.as_secs_f64() * 1e3);
        Self { measured: times.len(), ms: Latency { p50: ms(50), p99: ms(99) } }
    }

    fn cells(&self) -> [String; 3] {
        let ms = |ms: f64| if self.measured == 0 { "-".to_owned() } else { format!("{ms:.0} ms") };
        [self.measured.to_string(), ms(self.ms.p50), ms(self.ms.p99)]
    }
}

impl Report {
    pub(super) fn new(outcome: Outcome) -> Self {
        let Outcome { seed, seconds, counts, expected, observed, is_verified } = outcome;
        let Observed { totals, findings, redelivered } = observed;
        let open_files = totals.iter().filter(|file| !file.closed).count();
        let reconciled = Reconciled::from(totals.iter().all(FileTotals::is_reconciled));
        let sum = |count: fn(&OfProcess) -> u64| counts.groups.iter().map(count).sum();
        let strikes = Kind::all().iter().map(|kind| {
            let on_files = expected.strikes.get(kind).copied().unwrap_or(0);
            (kind.to_string(), on_files + counts.strikes.get(kind).copied().unwrap_or(0))
        });
        let is_good = findings.is_empty() && reconciled.is_true() && is_verified && open_files == 0;
        Self {
            seed,
            interrupted: counts.is_interrupted,
            seconds,
            kills: sum(|group| group.kills),
            stops: sum(|group| group.stops),
            strikes: strikes.collect(),
            filled: counts.filled,
            processes: Group::all(&counts),
            rows: expected.written,
            files: expected.files.len(),
            total: Total::of(&totals),
            open_files,
            redelivered,
            ok: is_good && counts.complaints.is_empty(),
            findings,
            reconciled,
            verified: is_verified,
            recovery: Recovery::of(counts.recoveries),
            complaints: counts.complaints,
            kept: None,
        }
    }

    /// As a table and some lines.
    pub(super) fn to_text(&self) -> String {
        let mut lines = vec![self.table().to_string()];
        let count = |count: i64| HumanCount(count.unsigned_abs());
        let strikes: Vec<_> = self.strikes.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        lines.push(format!("strikes: {}; the stream was full {} times", strikes.join(", "), self.filled));
        lines.push(format!(
            "{} rows written in {} files; {}",
            HumanCount(self.rows),
            HumanCount(self.files as u64),
            self.total
        ));
        lines.push(format!("{} redelivered", count(self.redelivered)));
        let Findings { lost, twice, wrong, named } = &self.findings;
        lines.extend(named.iter().chain(&self.complaints).cloned());
        let status = self.reconciled.as_str();
        lines.push(format!(
            "{lost} lost, {twice} twice, {wrong} wrong, {} files open, {status}, verify {}: {}",
            self.open_files,
            if self.verified { "OK" } else { "FAILED" },
            if self.ok { "good" } else { "BAD" }
        ));
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        lines.push(format!("seed {}, {:.0} s of faults{interrupted}", self.seed, self.seconds));
        lines.extend(
            self.kept.iter().map(|dir| format!("logs, files and tables are kept in {}", dir.display())),
        );
        lines.join("\n")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(["process", "kills", "stops", "ended by itself", "recoveries", "p50", "p99"]);
        for group in &self.processes {
            let counts = [group.kills, group.stops, group.ended_by_itself];
            table.add_row(row(group.process, counts, &group.recovery));
        }
        let deaths = self.processes.iter().map(|group| group.ended_by_itself).sum();
        table.add_row(row("all", [self.kills, self.stops, deaths], &self.recovery));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

fn row(process: &str, counts: [u64; 3], recovery: &Recovery) -> Vec<String> {
    let mut cells = vec![process.to_owned()];
    cells.extend(counts.map(|count| count.to_string()));
    cells.extend(recovery.cells());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_took_no_longer_than_p50_and_99_of_100_no_longer_than_p99() {
        let times = |count: u64| (1..=count).rev().map(Duration::from_millis).collect();
        let of = |count| {
            let Recovery { measured, ms: Latency { p50, p99 } } = Recovery::of(times(count));
            (measured, p50, p99)
        };
        assert_eq!(of(0), (0, 0.0, 0.0));
        assert_eq!(of(1), (1, 1.0, 1.0));
        assert_eq!(of(2), (2, 1.0, 2.0));
        assert_eq!(of(200), (200, 100.0, 198.0));
    }
}
