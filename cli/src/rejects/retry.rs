//! Sends an edited file. It is checked as a whole and copied to the landing directory, where it is a file like any other.
//! The process that tails that directory reads it; if there is none, everything is started here until the file is closed.

mod check;
mod land;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueHint};
use common::config::{Config, Flags, OnClose, Problem};
use common::{Clock, Exit, Shutdown, print_json, print_text};
use ledger::rejects::{File, Filter, Rejects};
use producer::is_tailed;
use sandbox::Services;

use super::list::ListedReject;
use super::table;
use crate::live::{Line, Live};
use crate::services;
use crate::up::{Plan, Stages};
use check::check;
use land::land;
use report::Report;

/// How often the tables are read while another process does the work.
const POLL: Duration = Duration::from_millis(200);
/// How many of the rows that were rejected again are printed.
const EXAMPLES: i64 = 20;

/// Flags of `millrace rejects retry`.
#[derive(Debug, Args)]
pub(super) struct Retry {
    /// A file that `rejects export` has written and a person has edited.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Send it by way of this directory, the one that `up --input` reads [default: the landing directory].
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    input: Option<PathBuf>,
    /// Print what became of the rows as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Retry {
    pub(super) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        flags.set("tail.landing_dir", "--input", self.input.as_ref());
        flags.set("tail.on_close", "--input", self.input.as_ref().map(|_| OnClose::Keep));
        flags
    }

    pub(super) async fn run(self, config: Config, line: Line, shutdown: &Shutdown) -> anyhow::Result<Exit> {
        self.check(&config)?;
        let (landing, checkpoints) = (config.landing_dir(), config.checkpoint_dir());
        let mut landed = None;
        if is_tailed(&landing).await? {
            let mut config = config.clone();
            services::provide(&mut config, Services { nats: false, postgres: false }).await?;
            config.needs_database()?;
            let mut table = table(&config).await?;
            let path = landed.insert(self.land(&landing)?);
            tracing::info!(file = %path.display(), "landed; waiting for the process that tails the directory");
            if let Some(file) = until_closed(&mut table, path, &landing, shutdown).await? {
                return self.report(&config, &mut table, path, &file).await;
            }
        } else if is_tailed(&checkpoints).await? {
            anyhow::bail!(Problem::new(format!(
                "a tailer of another directory uses {}; name that directory with --input DIR, or stop the tailer",
                checkpoints.display()
            )));
        }
        self.send(config, landed, line, shutdown).await
    }

    /// Nothing lands unless all of the file can be sent.
    fn check(&self, config: &Config) -> anyhow::Result<()> {
        let checked = check(config, &self.file);
        checked.map(|_| ()).map_err(|error| Problem::new(format!("{error:#}")).into())
    }

    fn land(&self, landing: &Path) -> anyhow::Result<PathBuf> {
        Ok(land(&self.file, landing, Clock::System)?)
    }

    /// Does everything that is needed in this process, as `up --once` does.
    async fn send(
        &self,
        mut config: Config,
        landed: Option<PathBuf>,
        line: Line,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Exit> {
        let mut own = services::provide(&mut config, Services::BOTH).await?;
        let sent = async {
            let landed = landed.map_or_else(|| self.land(&config.landing_dir()), Ok)?;
            let plan = Plan { generate: false, once: true, consumers: 1, limit: None };
            let stages = Stages::start(plan, &config, shutdown).await?;
            let done = stages.until_done(&mut own, Live::new(line.clone()), shutdown).await?;
            line.clear();
            if let Some((_, why)) = done.outcome.parked.iter().find(|(path, _)| *path == landed) {
                anyhow::bail!("{}: {why}", landed.display());
            }
            let mut table = table(&config).await?;
            let file = named(&mut table, &landed).await?.filter(|file| file.closed);
            let file = file.with_context(|| not_complete(&landed))?;
            self.report(&config, &mut table, &landed, &file).await
        };
        let sent = Box::pin(sent).await;
        line.clear();
        if let Some(own) = own {
            own.stop().await?;
        }
        sent
    }

    async fn report(
        &self,
        config: &Config,
        table: &mut Rejects,
        landed: &Path,
        file: &File,
    ) -> anyhow::Result<Exit> {
        let url = config.database.url.as_ref().context("there is no database")?;
        let files = ledger::file_totals::by_file(url, Some(&[file.file_id])).await?;
        let totals = files.first().with_context(|| not_complete(landed))?;
        let again = Filter { files: Some(vec![file.file_id]), ..Filter::default() };
        let rejects = table.first(&again, EXAMPLES).await?;
        let open = table.by_reason(&Filter::default()).await?;
        let report = Report {
            file: &self.file,
            landed,
            rows_sent: totals.rows_read,
            events: totals.events,
            duplicates: totals.duplicates,
            rejected_again: totals.corrupt_records,
            rejects: rejects.iter().map(ListedReject::from).collect(),
            closed: table.closed_by(file.file_id).await?,
            still_open: open.iter().map(|reason| reason.rejects).sum(),
        };
        if self.json {
            print_json(&report)?;
        } else {
            print_text(report.to_text(&rejects));
        }
        Ok(if report.rejected_again == 0 { Exit::Ok } else { Exit::Failed })
    }
}

/// Waits until the landed file is closed. `None` when nobody tails its directory any more.
async fn until_closed(
    table: &mut Rejects,
    landed: &Path,
    landing: &Path,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<File>> {
    loop {
        let found = named(table, landed).await;
        if let Ok(Some(file)) = &found
            && file.closed
        {
            return Ok(Some(file.clone()));
        }
        // Services may end with the process that tailed.
        if !is_tailed(landing).await? {
            return Ok(None);
        }
        found.with_context(|| not_complete(landed))?;
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = shutdown.draining() => anyhow::bail!(not_complete(landed)),
        }
    }
}

/// The landed file in the tables. The process that tails its directory may name the directory in another way.
async fn named(table: &mut Rejects, landed: &Path) -> anyhow::Result<Option<File>> {
    let name = landed.file_name().unwrap_or_default().to_string_lossy();
    Ok(table.files_named(&name).await?.pop())
}

fn not_complete(landed: &Path) -> String {
    format!("{} has landed, but it is not complete; the next run goes on with it", landed.display())
}
