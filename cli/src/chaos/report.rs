//! What a run was, as a table and some lines for people, and as JSON for scripts.

use std::path::PathBuf;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use consumer::account::FileAccount;
use indicatif::HumanCount;
use serde::Serialize;

use super::evidence::Evidence;
use super::plan::GROUPS;
use super::storm::{Strikes, Tally};
use super::verdict::Findings;
use crate::account::{Latency, Total};

/// The outcome of a run.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the JSON object")]
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
    pub(super) processes: Vec<Group>,
    /// Of all processes.
    pub(super) recovery: Recovery,
    /// Rows in the generated files.
    pub(super) rows: usize,
    /// Generated files.
    pub(super) files: usize,
    /// What the tables have.
    pub(super) total: Total,
    /// Files that are not closed.
    pub(super) open_files: usize,
    /// Rows that consumers were given again although they were in a table.
    pub(super) redelivered: i64,
    /// Messages of rows that the stream has beyond one a row; `null` where it was purged.
    pub(super) resent: Option<u64>,
    #[serde(flatten)]
    pub(super) findings: Findings,
    /// Whether rows read = events + duplicates + corrupt records, for every file.
    pub(super) law_holds: bool,
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

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// What did not end as it should.
    pub(super) complaints: Vec<String>,
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
    fn all(tally: &Tally) -> Vec<Self> {
        let group = |(&process, strikes): (&&'static str, &Strikes)| Self {
            process,
            kills: strikes.kills,
            stops: strikes.stops,
            ended_by_itself: strikes.deaths,
            recovery: Recovery::of(strikes.recoveries.clone()),
        };
        GROUPS.iter().zip(&tally.groups).map(group).collect()
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
    /// All that is known of a run whose faults took so many seconds.
    pub(super) fn new(seed: u64, seconds: f64, tally: &Tally, ending: Ending, evidence: Evidence) -> Self {
        let Evidence { truth, accounts, findings, redelivered, resent } = evidence;
        let Ending { mut complaints, is_verified } = ending;
        complaints.extend(tally.deaths.iter().chain(&tally.unrecovered).cloned());
        let open_files = accounts.iter().filter(|file| !file.closed).count();
        let law_holds = accounts.iter().all(FileAccount::law_holds);
        let sum = |count: fn(&Strikes) -> u64| tally.groups.iter().map(count).sum();
        Self {
            seed,
            interrupted: tally.is_interrupted,
            seconds,
            kills: sum(|group| group.kills),
            stops: sum(|group| group.stops),
            processes: Group::all(tally),
            recovery: Recovery::of(tally.groups.iter().flat_map(|group| group.recoveries.clone()).collect()),
            rows: truth.rows(),
            files: truth.files.len(),
            total: Total::of(&accounts),
            open_files,
            redelivered,
            resent,
            ok: findings.is_empty() && law_holds && is_verified && open_files == 0 && complaints.is_empty(),
            findings,
            law_holds,
            verified: is_verified,
            complaints,
            kept: None,
        }
    }

    /// As a table and some lines.
    pub(super) fn to_text(&self) -> String {
        let mut lines = vec![self.table().to_string()];
        let count = |count: i64| HumanCount(count.unsigned_abs());
        let Total { events, duplicates, corrupt_records, .. } = self.total;
        lines.push(format!(
            "{} rows in {} files: {} events + {} duplicates + {} corrupt",
            HumanCount(self.rows as u64),
            HumanCount(self.files as u64),
            count(events),
            count(duplicates),
            count(corrupt_records)
        ));
        let resent = self.resent.map_or_else(|| "?".to_owned(), |resent| HumanCount(resent).to_string());
        lines.push(format!("{resent} sent again, {} redelivered", count(self.redelivered)));
        let Findings { lost, twice, wrong, named } = &self.findings;
        lines.extend(named.iter().chain(&self.complaints).cloned());
        let law = if self.law_holds { "the law holds" } else { "THE LAW DOES NOT HOLD" };
        lines.push(format!(
            "{lost} lost, {twice} twice, {wrong} wrong, {} files open, {law}, verify {}: {}",
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
