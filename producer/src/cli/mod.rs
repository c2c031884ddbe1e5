//! The commands of `producer`, which are also those of `millrace producer`.

mod flags;
mod show;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use common::config::{Config, Flags, Problem};
use common::health::{self, Ask, Service};
use common::{Clock, Exit, Shutdown};
use tokio_util::sync::CancellationToken;

use crate::{Outcome, Progress, generate, lock, pipeline};
pub use flags::{Generate, Tail};

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
    /// Ask a running producer whether it is alive.
    Health(Ask),
}

/// `producer checkpoint`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Checkpoint {
    /// A line a file: its id, state, row, offset and path.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
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
            Self::Health(ask) => ask.flags(&mut flags),
            Self::Check { .. } | Self::Checkpoint(_) => {}
        }
        flags
    }

    /// Whether it needs the broker.
    pub fn needs_nats(&self) -> bool {
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
            Self::Tail(tail) => {
                let ending = CancellationToken::new();
                if tail.once {
                    ending.cancel();
                }
                Ok(exit_of(&run_tail(config, ending, shutdown).await?))
            }
            Self::Run { tail, .. } => {
                let ending = CancellationToken::new();
                let tailing = run_tail(config, ending.clone(), shutdown.clone());
                // What the generator does wrong ends the tailer too; its end alone does so with --once.
                let making = async {
                    if config.generate.enabled {
                        make(config, shutdown.clone()).await.inspect_err(|_| shutdown.drain())?;
                    }
                    if tail.once {
                        ending.cancel();
                    }
                    Ok::<_, generate::Error>(())
                };
                let (made, outcome) = tokio::join!(making, tailing);
                made?;
                let outcome = outcome?;
                Ok(exit_of(&outcome))
            }
            Self::Check { files } => Ok(show::checked(config, &files)),
            Self::Checkpoint(Checkpoint::List { json }) => {
                show::checkpoints(config, json)?;
                Ok(Exit::Ok)
            }
            Self::Health(ask) => ask.execute(&config.health, Service::Producer).await,
        }
    }
}

/// Generates as configured, from a seed of its own where none is configured.
async fn make(config: &Config, shutdown: Shutdown) -> Result<generate::Generated, generate::Error> {
    let seed = config.generate.seed.unwrap_or_else(rand::random);
    let progress = Arc::default();
    generate::run(&config.generate, &config.landing_dir(), seed, Clock::System, progress, shutdown).await
}

async fn run_tail(config: &Config, ending: CancellationToken, shutdown: Shutdown) -> anyhow::Result<Outcome> {
    config.needs_nats()?;
    let progress = Arc::new(Progress::default());
    let _serving = health::serve(&config.health, Service::Producer, progress.health().clone()).await?;
    let landing = config.landing_dir();
    let tailed = Box::pin(pipeline::tail(config, &landing, progress.clone(), ending, shutdown)).await;
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
