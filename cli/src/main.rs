//! The `millrace` command.

use std::process::ExitCode;

use clap::Parser;
use common::Exit;
use millrace::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    Exit::of(Cli::parse().run().await).into()
}
