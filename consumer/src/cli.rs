//! The commands of `consumer`, which are also those of `millrace consumer`.

use std::sync::Arc;

use clap::Subcommand;
use common::config::{Config, Flags};
use common::health::{self, Ask, Service};
use common::{Exit, Shutdown};
use ledger::migrate;
use ledger::rollback::OnRollback;

pub use crate::replay::cli::Replay;
use crate::{Progress, run};

/// What the consumer can be asked for.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Take messages off the stream and write them into the database until asked to stop.
    Run(Run),
    /// Bring the database's schema to the version that this build needs.
    Migrate,
    /// Read the stream once more, or a part of it, into the tables, where it changes nothing, or into a new one.
    Replay(Replay),
    /// Ask a running consumer whether it is alive.
    Health(Ask),
}

/// Flags of `consumer run`; what is unset is taken from the configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Run {
    /// This replica's name in `batches` [default: the host's name and the process id].
    #[arg(long, value_name = "NAME")]
    pub replica: Option<String>,
    /// Connections that write at the same time.
    #[arg(long, value_name = "N")]
    pub writers: Option<usize>,
    /// The most rows of one transaction.
    #[arg(long, value_name = "N")]
    pub rows: Option<usize>,
    /// How long a batch waits to fill, such as 500ms [default: a free writer takes what there is].
    #[arg(long, value_name = "DURATION")]
    pub linger: Option<String>,
}

impl Run {
    fn flags(&self, flags: &mut Flags) {
        flags.set("consumer.replica", "--replica", self.replica.as_ref());
        flags.set("consumer.writers", "--writers", self.writers);
        flags.set("batch.rows", "--rows", self.rows);
        flags.set("batch.linger", "--linger", self.linger.as_ref());
    }
}

impl Command {
    /// The settings that its flags stand for.
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        match self {
            Self::Run(run) => run.flags(&mut flags),
            Self::Health(ask) => ask.flags(&mut flags),
            Self::Migrate | Self::Replay(_) => {}
        }
        flags
    }

    /// Whether it needs the broker.
    pub fn needs_nats(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Replay(_))
    }

    /// Whether it needs the database.
    pub fn needs_database(&self) -> bool {
        !matches!(self, Self::Health(_))
    }

    /// Does it.
    pub async fn execute(self, config: &Config, shutdown: Shutdown) -> anyhow::Result<Exit> {
        if self.needs_database() {
            config.needs_database()?;
        }
        match self {
            Self::Health(ask) => return ask.execute(&config.health, Service::Consumer).await,
            Self::Replay(replay) => {
                config.needs_nats()?;
                return replay.execute(config, shutdown).await;
            }
            Self::Migrate => {
                migrate(config, &shutdown).await?;
                tracing::info!("the schema is up to date");
            }
            Self::Run(_) => {
                config.needs_nats()?;
                let progress = Arc::new(Progress::new());
                let health = progress.health().clone();
                let _serving = health::serve(&config.health, Service::Consumer, health).await?;
                let counts = run(config, progress, OnRollback::Refuse, shutdown).await?;
                tracing::info!(
                    events = counts.events,
                    duplicates = counts.duplicates,
                    corrupt = counts.corrupt,
                    redelivered = counts.redelivered,
                    batches = counts.batches,
                    "drained"
                );
            }
        }
        Ok(Exit::Ok)
    }
}
