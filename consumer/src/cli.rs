//! The commands of `consumer`, which are also those of `millrace consumer`.

use std::sync::Arc;

use clap::Subcommand;
use common::config::{Config, Flags};
use common::{Exit, Shutdown};

use crate::{Progress, migrate, run};

/// What the consumer can be asked for.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Take messages off the stream and write them into the database until asked to stop.
    Run(Run),
    /// Bring the database's schema to the version that this build needs.
    Migrate,
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

impl Command {
    /// The settings that its flags stand for.
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        if let Self::Run(run) = self {
            flags.set("consumer.replica", "--replica", run.replica.as_ref());
            flags.set("consumer.writers", "--writers", run.writers);
            flags.set("batch.rows", "--rows", run.rows);
            flags.set("batch.linger", "--linger", run.linger.as_ref());
        }
        flags
    }

    /// Whether it needs the broker.
    pub fn needs_nats(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    /// Does it.
    pub async fn execute(self, config: &Config, shutdown: Shutdown) -> anyhow::Result<Exit> {
        config.needs_database()?;
        match self {
            Self::Migrate => {
                migrate(config, &shutdown).await?;
                tracing::info!("the schema is up to date");
            }
            Self::Run(_) => {
                config.needs_nats()?;
                let counts = run(config, Arc::new(Progress::new()), shutdown).await?;
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
