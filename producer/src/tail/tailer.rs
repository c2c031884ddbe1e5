//! The loop: which file is read next, which one counts as finished, which one is put away.

mod announced;
mod archived;
mod discovery;
mod closing;
mod sending;
mod removal;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::health::Pulse;
use common::printable::{Printable, printable};
use common::wire::ClosedFile;
use common::{FileId, Shutdown, fault};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::checkpoint;
use crate::stream_loss;
use crate::tail::reading::Chunk;
use crate::tail::scan::Scanner;
use crate::tail::tailed_file::{Context, ReadState, TailedFile};
use crate::tail::{Error, Outcome};
use crate::tailer_message::TailerMessage;
use announced::AnnouncedFile;
use archived::Archived;
use sending::{RETRY, SEND_FROM_BYTES};

/// How many files are open at the same time.
const OPEN_FILES: usize = 16;

/// Between two checks of files that are about to be finished.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// How many polls of the landing directory it takes at least until the totals of a file are sent again.
const ANNOUNCED_POLLS: u32 = 5;

/// The state of the blocking thread.
pub(super) struct Tailer {
    context: Context,
    scanner: Scanner,
    inbox: mpsc::Receiver<TailerMessage>,
    chunks: mpsc::Sender<Chunk>,
    ending: CancellationToken,
    pulse: Pulse,
    is_ending: bool,
    generation: u64,
    files: BTreeMap<PathBuf, TailedFile>,
    /// Files that may have something to read, each once.
    ready: VecDeque<PathBuf>,
    /// Files that were read to their current end and do not count as finished yet.
    waiting: HashSet<PathBuf>,
    /// Files whose final totals were sent and which are not closed yet.
    announced: HashMap<FileId, AnnouncedFile>,
    parked: BTreeMap<PathBuf, String>,
    file_ids: HashSet<FileId>,
    /// The latest first.
    archived: VecDeque<Archived>,
    /// Whether files may have been removed that have a checkpoint and are not tailed.
    may_be_missing: bool,
    next_scan: Instant,
    /// What was read and is not sent.
    pending: Chunk,
    /// Whether it cannot be sent, since positions cannot be written. Nothing is read meanwhile.
    is_held: bool,
    /// An error that ends the tailer.
    failed: Option<checkpoint::Error>,
    /// What the consumer has announced as closed.
    closed: Vec<(FileId, ClosedFile)>,
}

impl Tailer {
    pub(super) fn new(
        context: Context,
        landing: &Path,
        inbox: mpsc::Receiver<TailerMessage>,
        chunks: mpsc::Sender<Chunk>,
        ending: CancellationToken,
        pulse: Pulse,
    ) -> Self {
        Self {
            context,
            scanner: Scanner::new(landing),
            inbox,
            chunks,
            ending,
            pulse,
            is_ending: false,
            generation: 0,
            files: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: HashSet::new(),
            announced: HashMap::new(),
            parked: BTreeMap::new(),
            file_ids: HashSet::new(),
            archived: VecDeque::new(),
            may_be_missing: true,
            next_scan: Instant::now(),
            pending: Chunk::default(),
            is_held: false,
            failed: None,
            closed: Vec::new(),
        }
    }

    pub(super) fn run(mut self, shutdown: &Shutdown) -> Result<Outcome, Error> {
        let runtime = Handle::current();
        self.send_pending_totals()?;
        while !shutdown.is_draining() {
            self.pulse.beat();
            if self.ending.is_cancelled() && !self.is_ending {
                self.scan(true);
                self.is_ending = true;
                let waiting: Vec<PathBuf> = self.waiting.drain().collect();
                for path in waiting {
                    self.make_ready(path);
                }
            }
            while let Ok(message) = self.inbox.try_recv() {
                self.receive(message)?;
            }
            let closed = std::mem::take(&mut self.closed);
            self.closed(closed)?;
            if Instant::now() >= self.next_scan {
                self.scan(false);
                self.next_scan = Instant::now() + self.context.config.tail.poll;
            }
            if self.read_next().is_err() {
                break;
            }
            if let Some(error) = self.failed.take() {
                return Err(error.into());
            }
            if !self.ready.is_empty() && !self.is_held {
                continue;
            }
            let is_done = self.waiting.is_empty() && self.announced.is_empty() && !self.is_held;
            if self.is_ending && is_done {
                break;
            }
            let longest = if self.is_held { RETRY } else { self.longest_wait() };
            let message = runtime.block_on(async {
                tokio::select! {
                    message = self.inbox.recv() => message,
                    () = tokio::time::sleep(longest) => None,
                    () = shutdown.draining() => None,
                    () = self.ending.cancelled(), if !self.is_ending => None,
                }
            });
            if let Some(message) = message {
                self.receive(message)?;
            }
            self.finish_quiet();
        }
        // What was read is still sent.
        let _ = self.send_pending();
        let open = self.announced.len() + self.waiting.len() + self.ready.len();
        Ok(Outcome {
            files: self.file_ids.into_iter().collect(),
            parked: self.parked.into_iter().collect(),
            open,
        })
    }

    fn receive(&mut self, message: TailerMessage) -> Result<(), Error> {
        match message {
            TailerMessage::Changed(path) => self.changed(&path),
            TailerMessage::Closed(file_id, closed) => self.closed.push((file_id, closed)),
            TailerMessage::NothingUnread => self.announce_again(),
            TailerMessage::Rewind(generation) => {
                stream_loss::rewind(&self.context.store)?;
                self.generation = generation;
                // All of it is read again.
                self.pending = Chunk::default();
                self.send_pending_totals()?;
                let mut again = Vec::new();
                for (path, file) in &mut self.files {
                    if file.rewind() {
                        again.push(path.clone());
                    }
                }
                self.announced.clear();
                for path in again {
                    self.make_ready(path);
                }
            }
        }
        Ok(())
    }

    fn make_ready(&mut self, path: PathBuf) {
        self.waiting.remove(&path);
        if let Some(file) = self.files.get_mut(&path)
            && !std::mem::replace(&mut file.is_queued, true)
        {
            self.ready.push_back(path);
        }
    }

    /// Reads some of the next file. Sends what is pending if that is enough, or no other file has more. Fails when the
    /// publisher has ended.
    fn read_next(&mut self) -> Result<(), mpsc::error::SendError<Chunk>> {
        if !self.is_held {
            self.read_file();
        }
        if self.is_held || self.ready.is_empty() || self.pending.bytes() >= SEND_FROM_BYTES {
            self.send_pending()?;
        }
        Ok(())
    }

    fn read_file(&mut self) {
        let Some(path) = self.ready.pop_front() else { return };
        let Some(file) = self.files.get_mut(&path) else { return };
        file.is_queued = false;
        fault::hang_thread("tail");
        let mut chunk = Chunk::default();
        let before = file.file_id();
        let state = file.read(&self.context, self.is_ending, &mut chunk);
        if let Some(before) = before.filter(|before| file.file_id() != Some(*before)) {
            // The file was rewritten: the earlier content cannot be closed any more.
            self.announced.remove(&before);
        }
        if let Some(reading) = &file.reading {
            self.file_ids.insert(reading.checkpoint.file_id);
            if state.as_ref().is_ok_and(|state| *state == ReadState::Announced) {
                let pause = self.context.config.tail.poll * ANNOUNCED_POLLS;
                self.announced.insert(reading.checkpoint.file_id, AnnouncedFile::new(&path, pause));
            } else {
                self.announced.remove(&reading.checkpoint.file_id);
            }
        }
        match state {
            Ok(ReadState::More) => {
                file.is_queued = true;
                let at = self.ready.len().min(OPEN_FILES - 1);
                self.ready.insert(at, path);
            }
            Ok(ReadState::Waiting) => drop(self.waiting.insert(path)),
            Ok(ReadState::Announced | ReadState::Done) => drop(self.parked.remove(&path)),
            Ok(ReadState::Empty) => {
                drop(self.parked.remove(&path));
                tracing::info!(file = %Printable(path.display()), "has no header yet, and stays where it is until it has one");
            }
            Ok(ReadState::Parked(why)) => self.park(path, why),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.next_scan = Instant::now();
                self.waiting.insert(path);
            }
            Err(error) if sending::is_damaged(&error) => {
                self.failed = error.into_inner().and_then(|error| error.downcast().ok()).map(|error| *error);
            }
            Err(error) => {
                // It may be temporary.
                file.restart_quiet_period();
                if !self.is_ending {
                    self.waiting.insert(path.clone());
                }
                self.park(path, format!("cannot be read: {error}"));
            }
        }
        self.pending.append(chunk);
    }

    /// Reads nothing of the file until it changes, and logs why, once.
    fn park(&mut self, path: PathBuf, why: String) {
        if self.parked.get(&path) != Some(&why) {
            tracing::error!("{}: {}", Printable(path.display()), printable(&why));
            self.parked.insert(path, why);
        }
    }

    /// Files that were quiet for long enough are read to their final end.
    fn finish_quiet(&mut self) {
        let quiet: Vec<PathBuf> =
            self.waiting.iter().filter(|path| self.quiet_in(path).is_zero()).cloned().collect();
        for path in quiet {
            self.make_ready(path);
        }
    }

    fn longest_wait(&self) -> Duration {
        let scan = self.next_scan.saturating_duration_since(Instant::now());
        let quiet = self.waiting.iter().map(|path| self.quiet_in(path)).min().unwrap_or(scan);
        scan.min(quiet.max(SHORTEST_WAIT))
    }

    fn quiet_in(&self, path: &Path) -> Duration {
        self.files.get(path).map_or(Duration::MAX, |file| file.quiet_in(&self.context))
    }
}

#[cfg(test)]
mod tests;
