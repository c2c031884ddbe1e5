//! Publishes again what the database lacks: rows that the stream still has from there, others from their files.
//!
//! What the database has enters as [`DatabaseFile`]s; files of which something was missing leave as [`HealedFile`]. A row is
//! published under its own origin, so one that is not missing after all is recognised and not written twice. Nothing on
//! disk changes.
//!
//! The totals of files that are not complete in the database are sent first, so that a healing that is interrupted leaves
//! files that are visibly not reconciled. Then the stream is read, then the files of rows that are in neither.

mod error;

mod snapshot; // where stream and files stand
mod missing_rows; // which rows are missing
mod totals; // a checkpoint -> the totals of its file
mod scan; // the stream -> messages
mod find; // a checkpoint -> its file, wherever that is now
mod republish_file; // the file -> messages
mod sink; // messages -> the publisher
mod progress;

use std::sync::Arc;

use common::config::Config;
use common::nats::{self, Nats};
use common::stream::Status;
use common::{Clock, FileId, RowSet, Shutdown, fault};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::lock::{self, Lock};
use crate::publish::Publisher;
use crate::purge;
pub use error::Error;
use missing_rows::MissingRows;
pub use progress::Progress;
use sink::Sink;
pub use snapshot::Snapshot;

/// Chunks on their way to the publisher.
const CHUNKS: usize = 4;

/// What the database has of one file.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    pub file_id: FileId,
    /// Its path, or another name for people.
    pub file: String,
    /// Of its totals; `None` if the database has only rows of it.
    pub revision: Option<i64>,
    /// By its totals.
    pub rows_read: i64,
    /// Whether more rows may follow, by its totals.
    pub is_open: bool,
    /// The rows that are in a table.
    pub present: RowSet,
}

/// A file of which the database lacked something.
#[derive(Clone, Debug)]
pub struct HealedFile {
    pub file_id: FileId,
    /// Its path, or another name for people.
    pub file: String,
    /// Rows that the stream still had, and that were published again.
    pub from_stream: RowSet,
    /// Rows that were read from the file and published again.
    pub from_file: RowSet,
    /// Whether its totals were missing and published again.
    pub totals: bool,
    /// Rows that are neither in the database, nor in the stream, nor in a file.
    pub lost: RowSet,
    /// Why rows are lost; empty if none are.
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Publish,
    /// Nothing is published.
    DryRun,
}

/// A healing of one stream, from the files of one checkpoint directory.
#[derive(Debug)]
pub struct Heal {
    config: Config,
    nats: Nats,
    clock: Clock,
    /// `None` while a tailer is running, which sends the totals of files that are not closed, and purges the stream.
    lock: Option<Lock>,
}

impl Heal {
    /// Connects, and locks the checkpoint directory unless a tailer has it.
    pub async fn start(config: &Config, shutdown: &Shutdown) -> Result<Self, Error> {
        let nats = nats::connect(&config.nats, "millrace heal", shutdown).await?;
        let lock = match lock::take(&config.checkpoint_dir()).await {
            Ok(lock) => Some(lock),
            Err(lock::Error::Taken { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { config: config.clone(), nats, clock: Clock::System, lock })
    }

    /// The state of files and stream. The database has to be read afterwards: what it then lacks of a closed file, or of
    /// what was acknowledged, is missing and not only late.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        snapshot::take(&self.nats, &self.config, self.clock).await
    }

    /// How far consumers have come.
    pub async fn status(&self) -> Result<Status, Error> {
        snapshot::status(&self.nats).await
    }

    /// The files that were closed, on whatever machine their producer is.
    pub async fn closed_files(&self) -> Result<Vec<FileId>, Error> {
        snapshot::closed(&self.nats).await
    }

    /// The files that have a checkpoint here now. One that is not in the [`Snapshot`] is newer. No message of it can have
    /// been lost before, since a tailer writes the checkpoint before it sends anything.
    pub async fn files(&self) -> Result<Vec<FileId>, Error> {
        let config = self.config.clone();
        tokio::task::spawn_blocking(move || snapshot::files(&config)).await?
    }

    /// Completes when the stream is so full that consumers have to read on before more can be published.
    pub async fn short_of_room(&self) -> Result<(), Error> {
        snapshot::short_of_room(&self.nats).await
    }

    /// Publishes what the database lacks, and waits until the stream has acknowledged it.
    pub async fn publish(
        &self,
        snapshot: Snapshot,
        in_database: Vec<DatabaseFile>,
        mode: Mode,
        progress: Arc<Progress>,
        shutdown: &Shutdown,
    ) -> Result<Vec<HealedFile>, Error> {
        let events = snapshot.events.clone();
        let missing_rows = MissingRows::new(in_database);
        let ended = match mode {
            Mode::DryRun => self.find(snapshot, missing_rows, Sink::Nowhere, progress).await,
            Mode::Publish => Box::pin(self.publish_found(snapshot, missing_rows, progress, shutdown)).await,
        };
        scan::remove_durable(&events).await;
        Ok(ended?.into_healed())
    }

    async fn publish_found(
        &self,
        snapshot: Snapshot,
        missing_rows: MissingRows,
        progress: Arc<Progress>,
        shutdown: &Shutdown,
    ) -> Result<MissingRows, Error> {
        let (wakes, mut loss) = mpsc::channel(1);
        let (sender, chunks) = mpsc::channel(CHUNKS);
        let publisher = Publisher::new(
            self.nats.clone(),
            self.config.clone(),
            None,
            Arc::clone(&progress.sent),
            wakes,
            snapshot.stream,
        )
        .await?;
        let mut aids = JoinSet::new();
        if self.lock.is_some() {
            // No tailer makes room.
            aids.spawn(purge::run(self.nats.clone(), snapshot.events.clone(), self.config.stream.clone()));
        }
        let sending = AbortOnDropHandle::new(tokio::spawn(publisher.run(chunks, shutdown.clone())));
        let both = async {
            let found = self.find(snapshot, missing_rows, Sink::Publisher(sender), progress).await;
            sending.await??;
            fault::point("heal_published");
            found
        };
        tokio::select! {
            biased;
            Some(_) = loss.recv() => Err(Error::Lost),
            Some(Err(panic)) = aids.join_next() => Err(panic.into()),
            () = shutdown.draining() => Err(Error::Stopped),
            ended = both => ended,
        }
    }

    /// Sends every message that is missing to `sink`.
    async fn find(
        &self,
        snapshot: Snapshot,
        mut missing_rows: MissingRows,
        sink: Sink,
        progress: Arc<Progress>,
    ) -> Result<MissingRows, Error> {
        let totals = totals::missing(&snapshot, self.lock.is_some(), &mut missing_rows);
        sink.send(totals).await?;
        scan::republish(&snapshot, &mut missing_rows, &sink, &progress).await?;
        let files = republish_file::Files {
            config: self.config.clone(),
            max_payload: self.nats.client.server_info().max_payload,
        };
        tokio::task::spawn_blocking(move || {
            files.republish(&snapshot, &mut missing_rows, &sink, &progress)?;
            Ok(missing_rows)
        })
        .await?
    }
}
