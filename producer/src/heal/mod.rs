//! Publishes again what the database lacks: from the stream where that still has the rows, from the files where not.
//!
//! What the database has enters as [`Known`] files; what became of those that lacked something leaves as [`Refilled`].
//! A row goes out under the origin that it always had, so one that is there after all is recognised and not written
//! twice. Nothing on disk changes.
//!
//! First go the accounts of files that the database does not know to be complete: a healing that is cut off leaves
//! files that are visibly not reconciled. Then the stream is read through, then the files whose rows are in neither.

mod error;

mod snapshot; // where stream and files stand
mod missing_rows; // which rows are missing
mod totals; // a checkpoint -> the account of its file
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
pub use snapshot::Before;

/// Chunks on their way to the publisher.
const CHUNKS: usize = 4;

/// What the database has of one file.
#[derive(Clone, Debug)]
pub struct Known {
    pub file_id: FileId,
    /// Its path, or another name for people.
    pub file: String,
    /// The revision of its account; none where only rows of it are known.
    pub revision: Option<i64>,
    /// The rows that its account tells.
    pub rows_read: i64,
    /// Whether its account says that rows may still come.
    pub is_open: bool,
    /// The rows that are in a table.
    pub present: RowSet,
}

/// A file of which the database lacked something.
#[derive(Clone, Debug)]
pub struct Refilled {
    pub file_id: FileId,
    /// Its path, or another name for people.
    pub file: String,
    /// Rows that the stream still had, and that were published again.
    pub from_stream: RowSet,
    /// Rows that were read from the file and published again.
    pub from_file: RowSet,
    /// Whether the database lacked its account, and that was published again.
    pub account: bool,
    /// Rows that nobody has any more.
    pub lost: RowSet,
    /// Why not; empty where nothing is lost.
    pub why: String,
}

/// Whether messages really go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    Publish,
    /// Only what would go out is told.
    DryRun,
}

/// A healing of one stream, from the files of one checkpoint directory.
#[derive(Debug)]
pub struct Heal {
    config: Config,
    nats: Nats,
    clock: Clock,
    /// Held where no tailer runs, which would announce the files that are not closed, and make room in the stream.
    lock: Option<Lock>,
}

impl Heal {
    /// Connects, and takes the checkpoint directory unless a tailer has it.
    pub async fn start(config: &Config, shutdown: &Shutdown) -> Result<Self, Error> {
        let nats = nats::connect(&config.nats, "millrace heal", shutdown).await?;
        let lock = match lock::take(&config.checkpoint_dir()).await {
            Ok(lock) => Some(lock),
            Err(lock::Error::Taken { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { config: config.clone(), nats, clock: Clock::System, lock })
    }

    /// Notes where files and stream stand. What the database has is to be read afterwards: then what it lacks of a
    /// closed file, or of what was acknowledged, is missing and not merely late.
    pub async fn look(&self) -> Result<Before, Error> {
        snapshot::look(&self.nats, &self.config, self.clock).await
    }

    /// How far consumers have come.
    pub async fn status(&self) -> Result<Status, Error> {
        snapshot::status(&self.nats).await
    }

    /// The files that were closed, on whatever machine their producer is.
    pub async fn closed_files(&self) -> Result<Vec<FileId>, Error> {
        snapshot::closed(&self.nats).await
    }

    /// The files that have a checkpoint here by now. One that [`Heal::look`] did not find has begun since: a tailer writes
    /// its checkpoint before it sends anything of it, so that no message of it can have been lost before.
    pub async fn files(&self) -> Result<Vec<FileId>, Error> {
        let config = self.config.clone();
        tokio::task::spawn_blocking(move || snapshot::files(&config)).await?
    }

    /// Completes when the stream is so full that consumers have to read on before more can be published.
    pub async fn short_of_room(&self) -> Result<(), Error> {
        snapshot::short_of_room(&self.nats).await
    }

    /// Publishes what is missing of what is `known`, and waits until the stream has it.
    pub async fn publish(
        &self,
        before: Before,
        known: Vec<Known>,
        mode: Mode,
        progress: Arc<Progress>,
        shutdown: &Shutdown,
    ) -> Result<Vec<Refilled>, Error> {
        let events = before.events.clone();
        let missing_rows = MissingRows::new(known);
        let ended = match mode {
            Mode::DryRun => self.find(before, missing_rows, Sink::Nowhere, progress).await,
            Mode::Publish => Box::pin(self.publish_found(before, missing_rows, progress, shutdown)).await,
        };
        scan::remove_durable(&events).await;
        Ok(ended?.into_refilled())
    }

    async fn publish_found(
        &self,
        before: Before,
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
            before.stream,
        )
        .await?;
        let mut aids = JoinSet::new();
        if self.lock.is_some() {
            // No tailer makes room.
            aids.spawn(purge::run(self.nats.clone(), before.events.clone(), self.config.stream.clone()));
        }
        let sending = AbortOnDropHandle::new(tokio::spawn(publisher.run(chunks, shutdown.clone())));
        let both = async {
            let found = self.find(before, missing_rows, Sink::Publisher(sender), progress).await;
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
        before: Before,
        mut missing_rows: MissingRows,
        sink: Sink,
        progress: Arc<Progress>,
    ) -> Result<MissingRows, Error> {
        let accounts = totals::missing(&before, self.lock.is_some(), &mut missing_rows);
        sink.send(accounts).await?;
        scan::republish(&before, &mut missing_rows, &sink, &progress).await?;
        let files = republish_file::Files {
            config: self.config.clone(),
            max_payload: self.nats.client.server_info().max_payload,
        };
        tokio::task::spawn_blocking(move || {
            files.republish(&before, &mut missing_rows, &sink, &progress)?;
            Ok(missing_rows)
        })
        .await?
    }
}
