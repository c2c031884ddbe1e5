//! `millrace chaos`: kills and stops the processes of a whole Millrace at random moments, and proves that no
//! row was lost and none is there twice.
//!
//! A seed enters, a report leaves. `plan` says what happens, `storm` does it to the `rig` of `processes` and
//! private services, `finish` lets everything come to its end. Then `evidence` is gathered: `truth` reads the
//! files, and `verdict` holds the tables against them. `report` is what a person sees, and `sight` what they
//! see before.

mod plan;
mod place;
mod processes;
mod rig;
mod storm;
mod sight;
mod finish;
mod truth;
mod verdict;
mod evidence;
mod report;

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use common::config::{Config, Problem};
use common::{Clock, Exit, Shutdown, say};
use consumer::commits::Commits;

use crate::live::Line;
use evidence::Evidence;
use plan::Plan;
use processes::Part;
use report::{Ending, Report};
use rig::Rig;
use sight::{Goal, Sight};
use storm::{Storm, Tally};

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
    /// Rows a second to generate.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=20_000))]
    events_per_second: u32,
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
        let seed = self.seed.unwrap_or_else(|| rand::random::<u32>().into());
        let dir = place::make(&config.data_dir, seed)?;
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
            place::remove(&config)?;
        } else {
            report.kept = Some(dir);
        }
        if self.json {
            say(serde_json::to_string_pretty(&report)?);
        } else {
            say(report.to_text());
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
        let generator = Part::Generator { seed, rows_a_second: self.events_per_second };
        let mut rig = Rig::start(config, generator, self.consumers, shutdown).await?;
        config.nats.url.clone_from(&rig.endpoints().nats_url);
        config.database.url.clone_from(&rig.endpoints().database_url);
        let url = config.database.url.as_ref().context("there is no database")?;

        let began = Instant::now();
        let length = match (self.duration, self.kills) {
            (Some(duration), _) => Some(Duration::from(duration)),
            (None, None) => Some(DURATION),
            (None, Some(_)) => None,
        };
        let goal = self.kills.map_or(Goal::Time(length.unwrap_or(DURATION)), Goal::Kills);
        let mut sight = Sight::new(line, goal);
        let storm = Storm {
            rig: &mut rig,
            commits: Commits::at(url)?,
            sight: &mut sight,
            shutdown,
            clock: Clock::System,
            tally: Tally::default(),
        };
        let plan = Plan::new(seed, self.consumers, self.kills);
        let mut tally = storm.rage(plan, length.map(|length| began + length)).await?;
        let seconds = began.elapsed().as_secs_f64();

        sight.say("waiting until every file is closed");
        let complaints = finish::finish(&mut rig, &mut tally).await?;
        sight.say("running millrace verify");
        let is_verified = finish::verify(&rig).await?;
        sight.say("comparing files and tables");
        let evidence = Evidence::gather(config, shutdown).await?;
        rig.stop().await?;
        Ok(Report::new(seed, seconds, &tally, Ending { complaints, is_verified }, evidence))
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
