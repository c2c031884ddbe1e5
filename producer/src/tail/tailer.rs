//! The loop: which file is read next, which one counts as finished, which one is put away.

mod archived;
mod discovery;
mod closing;
mod handing;
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
use crate::tail::tailed_file::{Context, TailedFile, Turn};
use crate::tail::{Error, Outcome};
use crate::wake::Wake;
use archived::Archived;
use handing::{ENOUGH, RETRY};

/// How many files are open at the same time; the others wait for their turn.
const OPEN_FILES: usize = 16;

/// Looks follow each other no sooner.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// What the one blocking thread knows.
pub(super) struct Tailer {
    context: Context,
    scanner: Scanner,
    inbox: mpsc::Receiver<Wake>,
    chunks: mpsc::Sender<Chunk>,
    ending: CancellationToken,
    pulse: Pulse,
    is_ending: bool,
    generation: u64,
    files: BTreeMap<PathBuf, TailedFile>,
    /// Files that may have something to read, each once.
    ready: VecDeque<PathBuf>,
    /// Files that were read to their end and do not count as finished yet.
    waiting: HashSet<PathBuf>,
    /// Files whose account was sent and which are not closed yet.
    announced: HashMap<FileId, PathBuf>,
    parked: BTreeMap<PathBuf, String>,
    met: HashSet<FileId>,
    /// The latest first.
    archived: VecDeque<Archived>,
    /// Whether checkpoints may be of files that went away while nobody followed them.
    may_miss: bool,
    next_scan: Instant,
    /// What turns brought and is not handed on.
    pending: Chunk,
    /// Whether that cannot be handed on, since positions cannot be written; nothing is read meanwhile.
    is_held: bool,
    /// Why nothing can be read any more.
    failed: Option<checkpoint::Error>,
    /// What the consumer says is closed.
    closed: Vec<(FileId, ClosedFile)>,
}

impl Tailer {
    pub(super) fn new(
        context: Context,
        landing: &Path,
        inbox: mpsc::Receiver<Wake>,
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
            met: HashSet::new(),
            archived: VecDeque::new(),
            may_miss: true,
            next_scan: Instant::now(),
            pending: Chunk::default(),
            is_held: false,
            failed: None,
            closed: Vec::new(),
        }
    }

    pub(super) fn run(mut self, shutdown: &Shutdown) -> Result<Outcome, Error> {
        let runtime = Handle::current();
        self.tell_owed()?;
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
            while let Ok(wake) = self.inbox.try_recv() {
                self.wake(wake)?;
            }
            let closed = std::mem::take(&mut self.closed);
            self.closed(closed)?;
            if Instant::now() >= self.next_scan {
                self.scan(false);
                self.next_scan = Instant::now() + self.context.config.tail.poll;
            }
            if self.turn().is_err() {
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
            let wake = runtime.block_on(async {
                tokio::select! {
                    wake = self.inbox.recv() => wake,
                    () = tokio::time::sleep(longest) => None,
                    () = shutdown.draining() => None,
                    () = self.ending.cancelled(), if !self.is_ending => None,
                }
            });
            if let Some(wake) = wake {
                self.wake(wake)?;
            }
            self.finish_quiet();
        }
        // What was read when it was asked to end is on its way.
        let _ = self.hand_on();
        let open = self.announced.len() + self.waiting.len() + self.ready.len();
        Ok(Outcome { files: self.met.into_iter().collect(), parked: self.parked.into_iter().collect(), open })
    }

    fn wake(&mut self, wake: Wake) -> Result<(), Error> {
        match wake {
            Wake::Changed(path) => self.changed(&path),
            Wake::Closed(file_id, closed) => self.closed.push((file_id, closed)),
            Wake::Rewind(generation) => {
                stream_loss::rewind(&self.context.store)?;
                self.generation = generation;
                // It would be void: all of it is read again.
                self.pending = Chunk::default();
                self.tell_owed()?;
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

    /// Reads some of the next file, and hands on what there is, where that is enough or no other file has more. The error
    /// says that nobody takes chunks any more.
    fn turn(&mut self) -> Result<(), mpsc::error::SendError<Chunk>> {
        if !self.is_held {
            self.read();
        }
        if self.is_held || self.ready.is_empty() || self.pending.bytes() >= ENOUGH {
            self.hand_on()?;
        }
        Ok(())
    }

    fn read(&mut self) {
        let Some(path) = self.ready.pop_front() else { return };
        let Some(file) = self.files.get_mut(&path) else { return };
        file.is_queued = false;
        fault::hang_thread("tail");
        let mut chunk = Chunk::default();
        let before = file.file_id();
        let turn = file.turn(&self.context, self.is_ending, &mut chunk);
        if let Some(before) = before.filter(|before| file.file_id() != Some(*before)) {
            // It was rewritten: nobody waits for the end of what it was.
            self.announced.remove(&before);
        }
        if let Some(reading) = &file.reading {
            self.met.insert(reading.checkpoint.file_id);
            if turn.as_ref().is_ok_and(|turn| *turn == Turn::Announced) {
                self.announced.insert(reading.checkpoint.file_id, path.clone());
            } else {
                self.announced.remove(&reading.checkpoint.file_id);
            }
        }
        match turn {
            Ok(Turn::More) => {
                file.is_queued = true;
                let at = self.ready.len().min(OPEN_FILES - 1);
                self.ready.insert(at, path);
            }
            Ok(Turn::Waiting) => drop(self.waiting.insert(path)),
            Ok(Turn::Announced | Turn::Done) => drop(self.parked.remove(&path)),
            Ok(Turn::Empty) => {
                drop(self.parked.remove(&path));
                tracing::info!(file = %Printable(path.display()), "has no header yet, and stays where it is until it has one");
            }
            Ok(Turn::Parked(why)) => self.park(path, why),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.next_scan = Instant::now();
                self.waiting.insert(path);
            }
            Err(error) if handing::is_damaged(&error) => {
                self.failed = error.into_inner().and_then(|error| error.downcast().ok()).map(|error| *error);
            }
            Err(error) => {
                // It may pass: a disk that is full, say.
                file.put_off();
                if !self.is_ending {
                    self.waiting.insert(path.clone());
                }
                self.park(path, format!("cannot be read: {error}"));
            }
        }
        self.pending.append(chunk);
    }

    /// Sets a file aside, said once, until it changes. Other files flow on.
    fn park(&mut self, path: PathBuf, why: String) {
        if self.parked.get(&path) != Some(&why) {
            tracing::error!("{}: {}", Printable(path.display()), printable(&why));
            self.parked.insert(path, why);
        }
    }

    /// Files that were quiet for long enough get their last turn.
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
