//! `millrace chaos`: strikes a whole Millrace at random moments, and proves that no row was lost and none is there
//! twice.
//!
//! A seed enters, a report leaves. `plan` says which `kind` of strike hits which process, connection or service and for
//! how long; `fault_runner` does it to the `cluster` of `processes`, `network` and private services. Meanwhile
//! `file_writer` writes files, and appends to them, renames, truncates, rewrites and removes them, and records what it
//! has written. `finish` waits until every file is closed. Then `observed` reads the tables, and `compare`, which has
//! the rules, compares them with what is `expected`. `report` is what a person sees, and `progress` what they see before.

mod kind;
mod plan;
mod workspace;
mod processes;
mod network;
mod file_writer;
mod cluster;
mod counts;
mod fault_runner;
mod progress;
mod open_files;
mod finish;
mod expected;
mod compare;
mod observed;
mod report;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use common::config::{Config, Problem};
use common::{Clock, Exit, Shutdown, print_json, print_text};
use ledger::commits::Commits;

use crate::live::Line;
use cluster::Cluster;
use counts::Counts;
use fault_runner::FaultRunner;
use file_writer::{FileWriter, Settings};
use kind::Kind;
use observed::Observed;
use open_files::OpenFiles;
use plan::Plan;
use progress::{Goal, Progress};
use report::{Outcome, Report};

/// How long faults are struck where nothing else is said.
const DURATION: Duration = Duration::from_mins(1);

/// Flags of `millrace chaos`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chaos {
    /// End after so many kills; stops come on top.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    kills: Option<u64>,
    /// The same seed makes the same plan [default: a random one, which is printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Strike no more after this time, such as 10m [default: 60s, where --kills is not given].
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// How many consumers share the work.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    consumers: u16,
    /// Rows a second to write; fewer while files wait.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=20_000))]
    events_per_second: u32,
    /// Strike in these ways only.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    only: Vec<Kind>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Chaos {
    /// Runs it and prints the report. Everything that it starts ends with it.
    pub(crate) async fn run(
        self,
        mut config: Config,
        line: Line,
        shutdown: Shutdown,
    ) -> anyhow::Result<Exit> {
        refuse_services_of_others(&config)?;
        if self.kills.is_some() && !self.kinds().contains(&Kind::Kill) {
            return Err(Problem::new("--kills counts kills, which --only leaves out; use --for").into());
        }
        let seed = self.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let dir = workspace::make(&config.data_dir, seed)?;
        config = Config { data_dir: dir.clone(), ..config };
        (config.tail.landing_dir, config.tail.archive_dir, config.tail.checkpoint_dir) = (None, None, None);
        let result = tokio::select! {
            biased;
            report = Box::pin(self.report(&mut config, seed, line.clone(), &shutdown)) => report,
            () = shutdown.stopped() => Err(anyhow::anyhow!("stopped before there was a verdict")),
        };
        line.clear();
        let mut report = result.with_context(|| format!("what there is stays in {}", dir.display()))?;
        if report.ok {
            workspace::remove(&config)?;
        } else {
            report.kept = Some(dir);
        }
        if self.json {
            print_json(&report)?;
        } else {
            print_text(report.to_text());
        }
        Ok(if report.ok { Exit::Ok } else { Exit::Failed })
    }

    /// From the first process to the last.
    async fn report(
        &self,
        config: &mut Config,
        seed: u64,
        line: Line,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Report> {
        let mut cluster = Cluster::start(config, self.consumers, shutdown).await?;
        config.nats.url.clone_from(&cluster.endpoints().nats_url);
        config.database.url.clone_from(&cluster.endpoints().database_url);
        let url = config.database.url.as_ref().context("there is no database")?;
        let kinds = self.kinds();
        cluster.writer = Some(FileWriter::start(Settings {
            seed,
            dir: config.landing_dir(),
            pace: self.events_per_second,
            kinds: kinds.clone(),
        }));

        let began = Instant::now();
        let length = match (self.duration, self.kills) {
            (Some(duration), _) => Some(Duration::from(duration)),
            (None, None) => Some(DURATION),
            (None, Some(_)) => None,
        };
        let goal = self.kills.map_or(Goal::Time(length.unwrap_or(DURATION)), Goal::Kills);
        let mut progress = Progress::new(line, goal);
        let runner = FaultRunner {
            cluster: &mut cluster,
            config,
            commits: Commits::at(url)?,
            open_files: OpenFiles::new(config)?,
            progress: &mut progress,
            shutdown,
            clock: Clock::System,
            counts: Counts::default(),
        };
        let plan = Plan::new(seed, self.consumers, kinds, self.kills);
        let mut counts = Box::pin(runner.run(plan, length.map(|length| began + length))).await?;
        let seconds = began.elapsed().as_secs_f64();

        progress.log("waiting until every file is closed");
        let expected = finish::finish(&mut cluster, &mut counts, OpenFiles::new(config)?).await?;
        progress.log("running millrace verify");
        let is_verified = finish::verify(&cluster).await?;
        progress.log("comparing files and tables");
        let observed = Observed::read(config, &expected).await?;
        cluster.stop().await?;
        Ok(Report::new(Outcome { seed, seconds, counts, expected, observed, is_verified }))
    }

    /// Every kind where none is chosen.
    fn kinds(&self) -> BTreeSet<Kind> {
        let chosen = if self.only.is_empty() { Kind::all() } else { &self.only };
        chosen.iter().copied().collect()
    }
}

/// What is killed has to be ours.
fn refuse_services_of_others(config: &Config) -> Result<(), Problem> {
    let named = [("NATS_URL", config.nats.url.is_some()), ("DATABASE_URL", config.database.url.is_some())];
    match named.into_iter().find(|(_, is_set)| *is_set) {
        Some((named, _)) => Err(Problem::new(format!(
            "chaos kills services of its own only, but {named} names another one; unset it, also in .env and \
             millrace.toml"
        ))),
        None => Ok(()),
    }
}
