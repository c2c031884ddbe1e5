//! The commands of `millrace`.

use clap::{Parser, Subcommand};
use common::config::{Args, Config, Flags};
use common::{Exit, Shutdown, telemetry};

use sandbox::Services;

use crate::live::Line;
use crate::{chaos, explain, heal, psql, rejects, services, status, up, verify};

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
    /// Prove for every file that each row that was read is in one table, or name those that are not.
    Verify {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Tell the whole life of one row.
    Explain {
        /// An event's id, as the table or as the file has it; or a row of a file: its path, name or id, and the row.
        #[arg(value_name = "EVENT_ID | FILE:ROW")]
        asked: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Put back the rows that the database has lost, from the stream and from the files.
    Heal(heal::Heal),
    /// Tell which rows were rejected and why; write them into files to be edited, and send those again.
    Rejects(rejects::Rejects),
    /// Kill processes at random moments, and prove that no row was lost and none is there twice.
    Chaos(chaos::Chaos),
    /// Read the stream once more, or a part of it, into the tables, where it changes nothing, or into a new one.
    Replay(consumer::cli::Replay),
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
        let line = Line::new(matches!(
            self.command,
            Command::Up(_) | Command::Chaos(_) | Command::Rejects(_) | Command::Heal(_)
        ));
        let _logs = telemetry::start_above(&config.log, "millrace", line.clone())?;
        let shutdown = Shutdown::on_signals(config.shutdown.grace);
        match self.command {
            Command::Up(up) => up.run(config, line, shutdown).await,
            Command::Psql { psql } => psql::run(config, &psql).await,
            Command::Status { json } => status::run(config, json).await,
            Command::Verify { json } => verify::run(config, json, &shutdown).await,
            Command::Explain { asked, json } => explain::run(config, &asked, json).await,
            Command::Heal(heal) => heal.run(config, line, shutdown).await,
            Command::Rejects(rejects) => rejects.run(config, line, shutdown).await,
            Command::Chaos(chaos) => chaos.run(config, line, shutdown).await,
            Command::Replay(replay) => {
                services::refuse_empty(&config, Services::BOTH)?;
                let own = services::provide(&mut config, Services::BOTH).await?;
                let replaying = async {
                    if replay.is_dry_run() {
                        services::reach(&config, Services::BOTH).await?;
                    }
                    replay.execute(&config, shutdown).await
                };
                services::end_with(own, Box::pin(replaying)).await
            }
            Command::Producer { command } => {
                let needed = Services { nats: command.needs_nats(), postgres: false };
                let own = services::provide(&mut config, needed).await?;
                services::end_with(own, Box::pin(command.execute(&config, shutdown))).await
            }
            Command::Consumer { command } => {
                let needed = Services { nats: command.needs_nats(), postgres: command.needs_database() };
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
            Self::Rejects(rejects) => rejects.flags(),
            Self::Producer { command } => command.flags(),
            Self::Consumer { command } => command.flags(),
            Self::Chaos(_)
            | Self::Replay(_)
            | Self::Heal(_)
            | Self::Psql { .. }
            | Self::Status { .. }
            | Self::Verify { .. }
            | Self::Explain { .. } => Flags::new(),
        }
    }
}
