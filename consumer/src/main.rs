//! The `consumer` command.

use std::process::ExitCode;

use clap::Parser;
use common::config::{Args, Config};
use common::{Exit, Shutdown, telemetry};
use consumer::cli::Command;

/// Takes events off a JetStream stream and puts them into PostgreSQL, each once.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    Exit::of(run(Cli::parse()).await).into()
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let loaded = Config::load_with(&cli.args, cli.command.flags())?;
    if cli.args.print_config {
        return Ok(loaded.print());
    }
    let _logs = telemetry::start(&loaded.config.log, "consumer")?;
    let shutdown = Shutdown::on_signals(loaded.config.shutdown.grace);
    cli.command.execute(&loaded.config, shutdown).await
}
