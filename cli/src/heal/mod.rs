//! `millrace heal`: puts back the rows that the database has lost.
//!
//! First the sums of files are brought to what the tables hold. Then what is missing is published again, from the
//! stream and from the files, all of it before any of it is read: consumers that refuse a database which has gone back
//! go on refusing until nothing more can be missed. Then a consumer of our own puts the rows into their tables, and the
//! result is verified.

mod consume; // the stream -> the tables
mod report; // what was done, for people and for scripts

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use common::config::Config;
use common::stream::StreamPosition;
use common::{Exit, FileId, Shutdown, fault};
use ledger::file_rows::FileRows;
use ledger::repair::{Correction, Gap};
use producer::heal::{DatabaseFile, HealedFile, Mode, Progress, Snapshot};
use sandbox::Services;
use secrecy::SecretString;

use crate::live::Line;
use crate::services;
use crate::verify::{self, Proof};
use consume::Replica;
use report::Report;

/// How often what is missing is published, where rows that were published are not in the tables afterwards.
const ROUNDS: u32 = 3;
/// How often progress is shown.
const EVERY: Duration = Duration::from_millis(200);

/// Flags of `millrace heal`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Heal {
    /// Change nothing: only print what is missing, and where it would be taken from.
    #[arg(long)]
    dry_run: bool,
    /// Print what was done as one JSON object.
    #[arg(long)]
    json: bool,
    /// Let consumers go on although the database has lost messages that no checkpoint and no file accounts for.
    #[arg(long, conflicts_with = "dry_run")]
    accept_loss: bool,
}

impl Heal {
    /// Heals, and prints what was done. Exit code 0: every file is reconciled afterwards.
    pub(crate) async fn run(
        self,
        mut config: Config,
        line: Line,
        shutdown: Shutdown,
    ) -> anyhow::Result<Exit> {
        services::refuse_empty(&config, Services::BOTH)?;
        let own = services::provide(&mut config, Services::BOTH).await?;
        let healing = Box::pin(async {
            if self.dry_run {
                services::reach(&config, Services::BOTH).await?;
            }
            let healing = Healing::begin(&config, line.clone(), &shutdown).await?;
            let report = if self.dry_run {
                Box::pin(healing.rehearse()).await
            } else {
                Box::pin(healing.heal(self.accept_loss)).await
            };
            line.clear();
            let report = report?;
            report.print(self.json)?;
            Ok(if report.reconciled.is_true() { Exit::Ok } else { Exit::Failed })
        });
        services::end_with(own, healing).await
    }
}

/// Database and stream, while they are healed.
struct Healing<'a> {
    config: &'a Config,
    url: &'a SecretString,
    database: ledger::repair::Repair,
    stream: producer::heal::Heal,
    line: Line,
    shutdown: &'a Shutdown,
}

impl<'a> Healing<'a> {
    async fn begin(config: &'a Config, line: Line, shutdown: &'a Shutdown) -> anyhow::Result<Self> {
        let url = config.database.url.as_ref().context("there is no database")?;
        let database = ledger::repair::Repair::begin(url).await?;
        let stream = producer::heal::Heal::start(config, shutdown).await?;
        Ok(Self { config, url, database, stream, line, shutdown })
    }

    async fn heal(mut self, accept_loss: bool) -> anyhow::Result<Report> {
        let mut report = Report::new(self.correct_sums(true).await?);
        fault::point("heal_corrected");
        for _ in 0..ROUNDS {
            let (snapshot, known) = self.look().await?;
            let acknowledged = self.stream.status().await?.acknowledged();
            // Before anything is written behind it, which would hide it.
            self.database.note_gap(acknowledged).await?;
            let mut replica = Replica::new(self.config);
            let is_new = report.add(Box::pin(self.publish(snapshot, known, &mut replica)).await?);
            // What was purged by now may have been missed; a later first message says so.
            let first = self.stream.status().await?.incarnation.first_sequence;
            replica.catch_up(&self.stream, &self.line, self.shutdown).await?;
            fault::point("heal_consumed");
            let acknowledged = self.stream.status().await?.acknowledged();
            // Not those of the look alone: beside a tailer, files have begun since, and are in the database by now.
            let held = self.stream.files().await?;
            let first = StreamPosition { sequence: first, ..acknowledged };
            let gaps = self.close_gaps(&held, first, accept_loss).await?;
            if gaps.is_empty() {
                report.caught_up |= self.database.caught_up(acknowledged).await?;
            }
            report.gaps = gaps;
            report.conclude(&self.prove().await?);
            if report.reconciled.is_true() || !is_new {
                break;
            }
        }
        Ok(report)
    }

    /// Closes the gaps of which nothing can have been missed, and gives the others: a gap is closed when the stream that
    /// was read still had all of it (`first` is the first message that it still has), or when
    /// every file that is known anywhere was held against its checkpoint, here (`held`) or by an earlier healing on the
    /// machine of another producer.
    async fn close_gaps(
        &mut self,
        held: &[FileId],
        first: StreamPosition,
        accept_loss: bool,
    ) -> anyhow::Result<Vec<Gap>> {
        let mut open = Vec::new();
        let gaps = self.database.hold(held).await?;
        let closed = if gaps.is_empty() { Vec::new() } else { self.stream.closed_files().await? };
        for mut gap in gaps {
            let is_in_stream = gap.stream_created == first.stream_created
                && first.sequence <= gap.first_sequence.unsigned_abs();
            let unknown = closed.iter().filter(|file| !gap.held.contains(&file.get()));
            let unknown: Vec<String> = unknown.map(|file| format!("file {file}")).collect();
            if gap.not_held.is_empty() {
                gap.not_held = unknown;
            }
            let is_held = !gap.held.is_empty() && gap.not_held.is_empty();
            if is_in_stream || is_held || accept_loss {
                self.database.close_gap(&gap).await?;
            } else {
                open.push(gap);
            }
        }
        Ok(open)
    }

    /// Looks for everything, and changes nothing.
    async fn rehearse(mut self) -> anyhow::Result<Report> {
        let mut report = Report::rehearsed(self.correct_sums(false).await?);
        let (snapshot, known) = self.look().await?;
        let progress = Arc::new(Progress::default());
        let missing = Box::pin(self.stream.publish(snapshot, known, Mode::DryRun, progress, self.shutdown));
        report.add(until_asked(self.shutdown, missing).await?);
        report.conclude(&self.prove().await?);
        Ok(report)
    }

    /// Brings the sums of files to what the tables hold, or only reports how wrong they are.
    async fn correct_sums(&mut self, really: bool) -> anyhow::Result<Vec<Correction>> {
        self.line.show("counting the rows of every file".to_owned());
        until_asked(self.shutdown, self.database.sums(really)).await
    }

    /// Where files and stream stand, and then what the database has: in this order nothing that is only late is
    /// missing.
    async fn look(&mut self) -> anyhow::Result<(Snapshot, Vec<DatabaseFile>)> {
        let snapshot = until_asked(self.shutdown, self.stream.snapshot()).await?;
        let ledgers = until_asked(self.shutdown, ledger::file_rows::read(self.url)).await?;
        let revisions = self.database.revisions().await?;
        Ok((snapshot, ledgers.into_iter().map(|ledger| known(ledger, &revisions)).collect()))
    }

    async fn prove(&self) -> anyhow::Result<Proof> {
        self.line.show("running verify".to_owned());
        until_asked(self.shutdown, verify::prove(self.config, self.shutdown)).await
    }

    async fn publish(
        &self,
        snapshot: Snapshot,
        known: Vec<DatabaseFile>,
        replica: &mut Replica,
    ) -> anyhow::Result<Vec<HealedFile>> {
        self.line.show("reading the stream for what is missing".to_owned());
        let progress = Arc::new(Progress::default());
        let mut publishing =
            pin!(self.stream.publish(snapshot, known, Mode::Publish, Arc::clone(&progress), self.shutdown));
        let mut short_of_room = pin!(self.stream.short_of_room());
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                published = &mut publishing => return Ok(published?),
                // Nobody reads until everything is published, unless there is no other way to make room.
                short = &mut short_of_room, if !replica.is_running() => {
                    short?;
                    replica.start();
                }
                ended = replica.ended(), if replica.is_running() => return Err(ended),
                _ = tick.tick() => {
                    self.line.measure(progress.to_read());
                    self.line.reach(progress.read());
                }
            }
        }
    }
}

/// Does what can be done again at any time, unless it is asked to stop.
async fn until_asked<T, E: Into<anyhow::Error>>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = Box::pin(work) => done.map_err(Into::into),
        () = shutdown.draining() => anyhow::bail!("stopped before the end; run `millrace heal` again"),
    }
}

fn known(ledger: FileRows, revisions: &HashMap<i64, i64>) -> DatabaseFile {
    let totals = ledger.totals;
    DatabaseFile {
        file_id: FileId::from(totals.file_id),
        revision: revisions.get(&totals.file_id).copied(),
        rows_read: totals.rows_read,
        is_open: totals.is_open(),
        file: totals.file,
        present: ledger.present,
    }
}
