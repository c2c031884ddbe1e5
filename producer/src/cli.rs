//! The commands of `producer`, which are also those of `millrace producer`.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use common::config::{Config, Flags, Problem};
use common::{Clock, Exit, Shutdown};
use tokio_util::sync::CancellationToken;

use crate::checkpoint::Store;
use crate::{Outcome, Progress, check, generate, lock, pipeline};

/// What the producer can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make CSV files of e-commerce events.
    Generate(Generate),
    /// Read the files of the landing directory, follow them, publish each row.
    Tail(Tail),
    /// Do both.
    Run {
        /// How to make files.
        #[command(flatten)]
        generate: Generate,
        /// How to read them.
        #[command(flatten)]
        tail: Tail,
    },
    /// Tell what would become of files, without sending anything.
    Check {
        /// CSV files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Look at how far files have come.
    #[command(subcommand)]
    Checkpoint(Checkpoint),
}

/// `producer checkpoint`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Checkpoint {
    /// A line a file: its id, state, row, offset and path.
    List,
}

/// Flags of the generator.
#[derive(Clone, Debug, Default, Args)]
pub struct Generate {
    /// Rows a second; without it a file comes every --interval, or as fast as possible with --count or --files.
    #[arg(long, value_name = "N")]
    pub events_per_second: Option<f64>,
    /// End after this time, such as 30s.
    #[arg(long, value_name = "TIME")]
    pub duration: Option<humantime::Duration>,
    /// End after so many rows.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Rows a file.
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
    /// End after so many files.
    #[arg(long, value_name = "N")]
    pub files: Option<u64>,
    /// The pause between files.
    #[arg(long, value_name = "TIME")]
    pub interval: Option<humantime::Duration>,
    /// The fewest rows a file, where --batch-size is not given.
    #[arg(long, value_name = "N")]
    pub min_events: Option<u64>,
    /// The most rows a file, where --batch-size is not given.
    #[arg(long, value_name = "N")]
    pub max_events: Option<u64>,
    /// Where files land [default: the landing directory].
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// The same seed and --start-time write the same bytes.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The time of the first event, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub start_time: Option<DateTime<Utc>>,
    /// The share of rows that are spoilt, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub dirty_rate: Option<f64>,
    /// The share of rows that repeat an earlier one, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub duplicate_rate: Option<f64>,
}

impl Generate {
    /// As settings.
    pub fn flags(&self, flags: &mut Flags) {
        let time = |time: Option<humantime::Duration>| time.map(|time| time.to_string());
        flags.set("generate.events_per_second", "--events-per-second", self.events_per_second);
        flags.set("generate.duration", "--duration", time(self.duration));
        flags.set("generate.count", "--count", self.count);
        flags.set("generate.batch_size", "--batch-size", self.batch_size);
        flags.set("generate.files", "--files", self.files);
        flags.set("generate.interval", "--interval", time(self.interval));
        flags.set("generate.min_events", "--min-events", self.min_events);
        flags.set("generate.max_events", "--max-events", self.max_events);
        flags.set("generate.seed", "--seed", self.seed);
        flags.set("generate.start_time", "--start-time", self.start_time);
        flags.set("generate.dirty_rate", "--dirty-rate", self.dirty_rate);
        flags.set("generate.duplicate_rate", "--duplicate-rate", self.duplicate_rate);
        flags.set("tail.landing_dir", "--out-dir", self.out_dir.as_ref());
    }
}

/// Flags of the tailer.
#[derive(Clone, Debug, Default, Args)]
pub struct Tail {
    /// Read this directory [default: the landing directory].
    #[arg(long, value_name = "DIR")]
    pub input: Option<PathBuf>,
    /// End when every file that is there is in the table.
    #[arg(long)]
    pub once: bool,
}

impl Tail {
    fn flags(&self, flags: &mut Flags) {
        flags.set("tail.landing_dir", "--input", self.input.as_ref());
    }
}

impl Command {
    /// The command's flags as settings.
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        match self {
            Self::Generate(generate) => generate.flags(&mut flags),
            Self::Tail(tail) => tail.flags(&mut flags),
            Self::Run { generate, tail } => {
                generate.flags(&mut flags);
                tail.flags(&mut flags);
            }
            Self::Check { .. } | Self::Checkpoint(_) => {}
        }
        flags
    }

    /// Whether it needs the broker.
    pub fn needs_services(&self) -> bool {
        matches!(self, Self::Tail(_) | Self::Run { .. })
    }

    /// Runs it.
    pub async fn execute(self, config: &Config, shutdown: Shutdown) -> anyhow::Result<Exit> {
        match self {
            Self::Generate(_) => {
                let made = make(config, shutdown).await?;
                tracing::info!(rows = made.rows, files = made.files, "generated");
                Ok(Exit::Ok)
            }
            Self::Tail(tail) => Ok(exit_of(&run_tail(config, &tail, shutdown).await?)),
            Self::Run { tail, .. } => {
                let tailing = run_tail(config, &tail, shutdown.clone());
                let outcome = if config.generate.enabled {
                    // What the generator does wrong ends the tailer too; its end alone does not.
                    let making =
                        async { make(config, shutdown.clone()).await.inspect_err(|_| shutdown.drain()) };
                    let (made, outcome) = tokio::join!(making, tailing);
                    made?;
                    outcome?
                } else {
                    tailing.await?
                };
                Ok(exit_of(&outcome))
            }
            Self::Check { files } => Ok(show_checked(config, &files)),
            Self::Checkpoint(Checkpoint::List) => {
                show_checkpoints(config)?;
                Ok(Exit::Ok)
            }
        }
    }
}

/// Generates as configured, from a seed of its own where none is configured.
async fn make(config: &Config, shutdown: Shutdown) -> Result<generate::Generated, generate::Error> {
    let seed = config.generate.seed.unwrap_or_else(rand::random);
    let progress = Arc::default();
    generate::run(&config.generate, &config.landing_dir(), seed, Clock::System, progress, shutdown).await
}

async fn run_tail(config: &Config, tail: &Tail, shutdown: Shutdown) -> anyhow::Result<Outcome> {
    let ending = CancellationToken::new();
    if tail.once {
        ending.cancel();
    }
    let progress = Arc::new(Progress::default());
    let tailed = pipeline::tail(config, &config.landing_dir(), progress.clone(), ending, shutdown).await;
    let outcome = tailed.map_err(|error| match error {
        pipeline::Error::Lock(lock::Error::Taken { .. }) => Problem::new(error.to_string()).into(),
        error => anyhow::Error::new(error),
    })?;
    tracing::info!(
        files = outcome.files.len(),
        open = outcome.open,
        parked = outcome.parked.len(),
        messages = progress.messages(),
        "the tailer has ended"
    );
    Ok(outcome)
}

fn exit_of(outcome: &Outcome) -> Exit {
    if outcome.parked.is_empty() { Exit::Ok } else { Exit::Failed }
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn show_checked(config: &Config, files: &[PathBuf]) -> Exit {
    let mut exit = Exit::Ok;
    for path in files {
        match check::check(config, path) {
            Ok(checked) => {
                println!(
                    "{}: {} rows, {} of them rejected, by [[source]] {}",
                    checked.path.display(),
                    checked.rows,
                    checked.rejected,
                    checked.source
                );
                for (column, name) in &checked.columns {
                    println!("  {column} <- {name}");
                }
                if !checked.attributes.is_empty() {
                    println!("  attributes <- {}", checked.attributes.join(", "));
                }
                for (row, why) in &checked.examples {
                    println!("  row {row}, {why}");
                }
                if checked.rejected > 0 {
                    exit = Exit::Failed;
                }
            }
            Err(error) => {
                println!("{:#}", anyhow::Error::new(error));
                exit = Exit::Failed;
            }
        }
    }
    exit
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn show_checkpoints(config: &Config) -> anyhow::Result<()> {
    let dir = config.checkpoint_dir();
    anyhow::ensure!(
        dir.is_dir(),
        "{} is no directory; nothing was tailed with this configuration yet",
        dir.display()
    );
    let mut all = Store::open(&dir)?.select(|_| true);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    println!("{:<20} {:<10} {:>10} {:>12}  file", "file_id", "state", "row", "offset");
    for one in all {
        let (row, offset) = (one.reached.row, one.reached.offset);
        println!(
            "{:<20} {:<10} {row:>10} {offset:>12}  {}",
            one.file_id.get(),
            one.state.as_str(),
            one.path.display()
        );
    }
    Ok(())
}
