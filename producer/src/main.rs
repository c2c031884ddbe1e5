//! The `producer` command.

use std::process::ExitCode;

use clap::Parser;
use common::config::{Args, Config};
use common::{Exit, Shutdown, telemetry};
use producer::cli::Command;

/// Makes CSV files of e-commerce events and takes CSV files to a NATS JetStream stream.
#[derive(Parser)]
#[command(name = "producer", version)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    Exit::of(run(cli).await).into()
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let loaded = Config::load_with(&cli.args, cli.command.flags())?;
    if cli.args.print_config {
        return Ok(loaded.print());
    }
    let _logs = telemetry::start(&loaded.config.log, "producer")?;
    let shutdown = Shutdown::on_signals(loaded.config.shutdown.grace);
    cli.command.execute(&loaded.config, shutdown).await
}
