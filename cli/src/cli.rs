//! The commands of `millrace`.

use clap::{Parser, Subcommand};
use common::config::{Args, Config, Flags};
use common::{Exit, Shutdown, telemetry};

use sandbox::Services;

use crate::live::Line;
use crate::{psql, services, status, up};

/// CSV files of e-commerce events go in, rows in PostgreSQL come out, each exactly once, by way of NATS JetStream.
#[derive(Debug, Parser)]
#[command(name = "millrace", version)]
pub struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    command: Command,
}

/// What `millrace` can do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, with services of its own where no URL names others.
    Up(up::Up),
    /// Open psql on the database.
    Psql {
        /// Handed to psql, such as `-c 'select * from v_event_summary'`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        psql: Vec<String>,
    },
    /// Tell where files, stream and table stand.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// The commands of the producer.
    Producer {
        #[command(subcommand)]
        command: producer::cli::Command,
    },
    /// The commands of the consumer.
    Consumer {
        #[command(subcommand)]
        command: consumer::cli::Command,
    },
}

impl Cli {
    /// Loads the configuration, starts logging, runs the command.
    pub async fn run(self) -> anyhow::Result<Exit> {
        let loaded = Config::load_with(&self.args, self.command.flags())?;
        if self.args.print_config {
            return Ok(loaded.print());
        }
        let mut config = loaded.config;
        let line = Line::new(matches!(self.command, Command::Up(_)));
        let _logs = telemetry::start_above(&config.log, "millrace", line.clone())?;
        let shutdown = Shutdown::on_signals(config.shutdown.grace);
        match self.command {
            Command::Up(up) => up.run(config, line, shutdown).await,
            Command::Psql { psql } => psql::run(config, &psql).await,
            Command::Status { json } => status::run(config, json, &shutdown).await,
            Command::Producer { command } => {
                let needed = Services { nats: command.needs_nats(), postgres: false };
                let own = services::provide(&mut config, needed).await?;
                services::end_with(own, Box::pin(command.execute(&config, shutdown))).await
            }
            Command::Consumer { command } => {
                let needed = Services { nats: command.needs_nats(), postgres: true };
                let own = services::provide(&mut config, needed).await?;
                services::end_with(own, Box::pin(command.execute(&config, shutdown))).await
            }
        }
    }
}

impl Command {
    fn flags(&self) -> Flags {
        match self {
            Self::Up(up) => up.flags(),
            Self::Producer { command } => command.flags(),
            Self::Consumer { command } => command.flags(),
            Self::Psql { .. } | Self::Status { .. } => Flags::new(),
        }
    }
}
