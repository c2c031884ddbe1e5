//! `millrace up`: generator, tailer and consumers in one process, with services of its own.
//!
//! It ends in the order in which rows flow: the generator first, then the tailer, when every file is closed, then the
//! consumers, then the services; and what became of each file is printed last.

mod stages;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use common::config::{Config, Flags, OnClose, Problem};
use common::{Exit, Shutdown, print_json, print_text};

use crate::live::{Line, Live};
use crate::run_report::{Latency, Parked, RunReport, Total};
use crate::services;
use sandbox::Services;
use stages::Done;
pub(crate) use stages::{Plan, Stages};

/// Rows a second that are generated where nothing else is said.
const EVENTS_PER_SECOND: f64 = 1_000.0;

/// Flags of `millrace up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Read the files of this directory, and leave them there, instead of generating.
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    /// Generate nothing, and end when every file that is there is in the table.
    #[arg(long)]
    once: bool,
    /// Start from nothing: empty the private services and forget how far files have come.
    #[arg(long)]
    fresh: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
    /// How many consumers share the work.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    consumers: u16,
    /// End after this time, such as 30s, when what is there is in the table.
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// End after so many generated rows, made as fast as possible unless --events-per-second is given.
    #[arg(long, value_name = "N", conflicts_with_all = ["input", "once"])]
    count: Option<u64>,
    /// Rows a second to generate [default: 1000].
    #[arg(long, value_name = "N", conflicts_with_all = ["input", "once"])]
    events_per_second: Option<f64>,
    /// The same seed makes the same rows, but for their time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The share of generated rows that are spoilt, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    dirty_rate: Option<f64>,
    /// The share of generated rows that repeat an earlier one, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    duplicate_rate: Option<f64>,
}

impl Up {
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        flags.set("generate.duration", "--for", self.duration.map(|time| time.to_string()));
        flags.set("generate.count", "--count", self.count);
        flags.set("generate.events_per_second", "--events-per-second", self.events_per_second);
        flags.set("generate.seed", "--seed", self.seed);
        flags.set("generate.dirty_rate", "--dirty-rate", self.dirty_rate);
        flags.set("generate.duplicate_rate", "--duplicate-rate", self.duplicate_rate);
        flags.set("tail.landing_dir", "--input", self.input.as_ref());
        flags.set("tail.on_close", "--input", self.input.as_ref().map(|_| OnClose::Keep));
        flags
    }

    /// Runs until it is done, or a signal ends it.
    pub(crate) async fn run(
        self,
        mut config: Config,
        line: Line,
        shutdown: Shutdown,
    ) -> anyhow::Result<Exit> {
        if let Some(input) = self.input.as_ref().filter(|input| !input.is_dir()) {
            anyhow::bail!(Problem::new(format!(
                "--input {} is no directory that can be read",
                input.display()
            )));
        }
        let generate = self.input.is_none() && !self.once && config.generate.enabled;
        let bounded = config.generate.count.is_some() || config.generate.files.is_some();
        if config.generate.events_per_second.is_none() && !bounded {
            config.generate.events_per_second = Some(EVENTS_PER_SECOND);
        }
        if self.fresh {
            services::forget(&config).await?;
        }
        let mut sandbox = services::start(&mut config, Services::BOTH).await?;
        let limit = self.input.as_ref().and(config.generate.duration);
        let plan = Plan { generate, once: self.once, consumers: self.consumers, limit };
        let result = match Stages::start(plan, &config, &shutdown).await {
            Ok(stages) => stages.until_done(&mut sandbox, Live::new(line.clone()), &shutdown).await,
            Err(error) => Err(error),
        };
        let report = match result {
            Ok(done) => report(&config, done, sandbox.is_some()).await,
            Err(error) => Err(error),
        };
        line.clear();
        if let Some(sandbox) = sandbox {
            sandbox.stop().await?;
        }
        show(&report?, self.json)
    }
}

/// The report on the files that were read: counted from the tables where they are ours, and small; from the ledger
/// where they may hold more than this run.
async fn report(config: &Config, done: Done, private: bool) -> anyhow::Result<RunReport> {
    let url = config.database.url.as_ref().context("there is no database")?;
    let met: Vec<i64> = done.outcome.files.iter().map(|file| file.get()).collect();
    let files = if private {
        ledger::file_totals::from_tables(url, Some(&met)).await?
    } else {
        ledger::file_totals::by_file(url, Some(&met)).await?
    };
    let counts = done.consumed.counts();
    let rows_written = counts.events + counts.duplicates + counts.corrupt;
    let (p50, p99) = done.consumed.latency();
    let seconds =
        done.consumed.first_and_last_commit().map_or(0.0, |(_, last)| (last - done.begun).as_secs_f64());
    let parked = done.outcome.parked.into_iter().map(|(file, reason)| Parked { file, reason });
    Ok(RunReport {
        total: Total::of(&files),
        // An open file is never an error: its totals are not final.
        reconciled: files.iter().all(|file| file.is_open() || file.is_reconciled()).into(),
        files,
        parked: parked.collect(),
        interrupted: done.interrupted,
        rows_written,
        rows_per_second: if rows_written == 0 { 0.0 } else { rows_written as f64 / seconds.max(0.001) },
        latency_ms: Latency { p50, p99 },
    })
}

fn show(report: &RunReport, json: bool) -> anyhow::Result<Exit> {
    if json {
        print_json(report)?;
    } else {
        print_text(report.to_text());
    }
    Ok(if report.is_well() { Exit::Ok } else { Exit::Failed })
}
