//! `millrace rejects`: lists rejected rows, writes them to files that can be edited, and sends those files.
//!
//! `list` and `export` read the tables; `retry` puts an edited file into the landing directory, where it is a file like any
//! other. The row that takes the place of a rejected one closes it when it is committed.

mod list;
mod export;
mod retry;

use anyhow::Context;
use clap::{Args, Subcommand};
use common::config::{Config, Flags, Problem};
use common::event::Reason;
use common::{Exit, Shutdown};
use indicatif::HumanCount;
use ledger::rejects::{Filter, Rejects as Table};
use sandbox::Services;

use crate::live::Line;
use crate::services;

/// Flags of `millrace rejects`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Rejects {
    #[command(flatten)]
    list: list::List,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be done about rejected rows.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write rejected rows into CSV files, one for each file that they come from, so that they can be edited.
    Export(export::Export),
    /// Send the rows of an edited file; each takes the place of the rejected row that its first column names.
    Retry(retry::Retry),
}

impl Rejects {
    pub(crate) fn flags(&self) -> Flags {
        match &self.command {
            Some(Command::Retry(retry)) => retry.flags(),
            _ => Flags::new(),
        }
    }

    pub(crate) async fn run(
        self,
        mut config: Config,
        line: Line,
        shutdown: Shutdown,
    ) -> anyhow::Result<Exit> {
        if let Some(Command::Retry(retry)) = self.command {
            return retry.run(config, line, &shutdown).await;
        }
        let needed = Services { nats: false, postgres: true };
        services::refuse_empty(&config, needed)?;
        let own = services::provide(&mut config, needed).await?;
        let looking = async {
            services::reach(&config, needed).await?;
            let mut table = table(&config).await?;
            match self.command {
                Some(Command::Export(export)) => export.run(&config, &mut table).await,
                _ => self.list.run(&mut table).await,
            }
        };
        services::end_with(own, looking).await
    }
}

#[derive(Debug, Args)]
struct Selection {
    /// Those of this file: its name, its path, or its id.
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Those of this reason.
    #[arg(long, value_name = "REASON")]
    reason: Option<Reason>,
}

impl Selection {
    fn is_narrow(&self) -> bool {
        self.file.is_some() || self.reason.is_some()
    }

    async fn filter(&self, table: &mut Table, with_closed: bool) -> anyhow::Result<Filter> {
        let files = match &self.file {
            Some(name) => Some(files(table, name).await?),
            None => None,
        };
        Ok(Filter { files, reason: self.reason, with_closed })
    }
}

async fn files(table: &mut Table, name: &str) -> anyhow::Result<Vec<i64>> {
    let found = table.files_named(name.trim_start_matches("./")).await?;
    if found.is_empty() {
        let unknown = format!("--file {name}: no such file was read; write its name, its path, or its id");
        anyhow::bail!(Problem::new(unknown));
    }
    Ok(found.into_iter().map(|file| file.file_id).collect())
}

async fn table(config: &Config) -> anyhow::Result<Table> {
    let url = config.database.url.as_ref().context("there is no database")?;
    Ok(Table::connect(url).await?)
}

/// `1 row`, `2 rows`.
fn count(number: i64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number.unsigned_abs()))
}
