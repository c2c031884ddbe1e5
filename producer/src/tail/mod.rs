//! Follows the files of one directory. What enters are wake-ups and files, what leaves are chunks of messages.
//!
//! All of it runs on one blocking thread: file systems have no waiting that an async runtime could use, and a
//! full channel to `publish` is what holds the reading back.

pub(crate) mod buffer;
pub(crate) mod content;
mod followed;
pub(crate) mod head;
pub(crate) mod identity;
pub(crate) mod reading;
pub(crate) mod records;
mod scan;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::stream::Incarnation;
use common::wire::ClosedFile;
use common::{FileId, Shutdown};
use notify::{RecursiveMode, Watcher};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::archive::{self, Put};
use crate::checkpoint;
pub(crate) use followed::Context;
use followed::{Followed, Turn};
pub(crate) use reading::Chunk;
use scan::Scanner;

/// How many files are open at the same time; the others wait for their turn.
const OPEN_FILES: usize = 16;

/// Why tailing ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A position could not be kept.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

/// What wakes the tailer.
#[derive(Debug)]
pub(crate) enum Wake {
    /// Something happened to this file.
    Changed(PathBuf),
    /// Every row of this account is in a table.
    Closed(FileId, ClosedFile),
    /// The stream lost data: everything that is not closed is read again, as this generation.
    Rewind(Incarnation, u64),
}

/// What is left when tailing ends.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The files that were met, whether they were read in this run or before.
    pub files: Vec<FileId>,
    /// Files that cannot be read as they are, with a sentence that says why.
    pub parked: Vec<(PathBuf, String)>,
    /// Files whose rows are not all known to be in a table.
    pub open: usize,
}

/// Follows `landing` until `shutdown` drains, or, once `ending` is cancelled, until every file that is there then is
/// closed.
pub(crate) fn run(
    context: Context,
    landing: &Path,
    (wakes, inbox): (mpsc::Sender<Wake>, mpsc::Receiver<Wake>),
    chunks: mpsc::Sender<Chunk>,
    ending: CancellationToken,
    shutdown: &Shutdown,
) -> Result<Outcome, Error> {
    // Kept until the end: dropping it ends the notifications.
    let _watcher = watch(landing, wakes);
    let scanner = Scanner::new(landing);
    let tailer = Tailer {
        context,
        scanner,
        inbox,
        chunks,
        ending,
        is_ending: false,
        generation: 0,
        files: BTreeMap::new(),
        ready: VecDeque::new(),
        waiting: HashSet::new(),
        announced: HashMap::new(),
        parked: BTreeMap::new(),
        met: HashSet::new(),
        next_scan: Instant::now(),
    };
    tailer.run(shutdown)
}

/// Notifications shorten the wait; where there are none the poll finds everything.
fn watch(landing: &Path, wakes: mpsc::Sender<Wake>) -> Option<notify::RecommendedWatcher> {
    let dir = landing.to_owned();
    let tell = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, notify::EventKind::Access(_)) {
            // Under the name that a scan gives, which may be relative.
            for name in event.paths.iter().filter_map(|path| path.file_name()) {
                // A full inbox means that the tailer is awake anyway.
                let _ = wakes.try_send(Wake::Changed(dir.join(name)));
            }
        }
    };
    let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(landing, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| tracing::warn!(%error, "no file notifications; looking every tail.poll instead"))
        .ok()
}

struct Tailer {
    context: Context,
    scanner: Scanner,
    inbox: mpsc::Receiver<Wake>,
    chunks: mpsc::Sender<Chunk>,
    ending: CancellationToken,
    is_ending: bool,
    generation: u64,
    files: BTreeMap<PathBuf, Followed>,
    /// Files that may have something to read, each once.
    ready: VecDeque<PathBuf>,
    /// Files that were read to their end and do not count as finished yet.
    waiting: HashSet<PathBuf>,
    /// Files whose account was sent and which are not closed yet.
    announced: HashMap<FileId, PathBuf>,
    parked: BTreeMap<PathBuf, String>,
    met: HashSet<FileId>,
    next_scan: Instant,
}

impl Tailer {
    fn run(mut self, shutdown: &Shutdown) -> Result<Outcome, Error> {
        let runtime = Handle::current();
        while !shutdown.is_draining() {
            if self.ending.is_cancelled() && !self.is_ending {
                self.scan(true);
                self.is_ending = true;
                let waiting: Vec<PathBuf> = self.waiting.drain().collect();
                waiting.into_iter().for_each(|path| self.make_ready(path));
            }
            while let Ok(wake) = self.inbox.try_recv() {
                self.wake(wake)?;
            }
            if Instant::now() >= self.next_scan {
                self.scan(false);
                self.next_scan = Instant::now() + self.context.config.tail.poll;
            }
            if self.turn().is_err() {
                break;
            }
            if !self.ready.is_empty() {
                continue;
            }
            if self.is_ending && self.waiting.is_empty() && self.announced.is_empty() {
                break;
            }
            let longest = self.longest_wait();
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
        let open = self.announced.len() + self.waiting.len() + self.ready.len();
        Ok(Outcome { files: self.met.into_iter().collect(), parked: self.parked.into_iter().collect(), open })
    }

    fn wake(&mut self, wake: Wake) -> Result<(), Error> {
        match wake {
            Wake::Changed(path) => self.changed(&path),
            Wake::Closed(file_id, closed) => self.closed(file_id, closed)?,
            Wake::Rewind(stream, generation) => {
                self.context.stream = stream;
                self.generation = generation;
                let mut again = Vec::new();
                for (path, file) in &mut self.files {
                    if file.rewind(&self.context.store)? {
                        again.push(path.clone());
                    }
                }
                self.announced.clear();
                again.into_iter().for_each(|path| self.make_ready(path));
            }
        }
        Ok(())
    }

    /// Looks at one file which the system has spoken of.
    fn changed(&mut self, path: &Path) {
        let known = self.files.contains_key(path);
        if !known && (self.is_ending || !self.scanner.wants(path)) {
            return;
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => self.look(path.to_owned(), identity::Seen::from(&metadata)),
            // Gone or renamed: a scan tells which.
            _ if known => self.next_scan = Instant::now(),
            _ => {}
        }
    }

    /// Looks at all files. `all` makes each of them ready.
    fn scan(&mut self, all: bool) {
        let Some(found) = self.scanner.scan() else { return };
        let there: HashSet<&Path> = found.iter().map(|(path, _)| path.as_path()).collect();
        let gone: Vec<PathBuf> =
            self.files.keys().filter(|path| !there.contains(path.as_path())).cloned().collect();
        for path in gone {
            self.gone(&path, &found);
        }
        for (path, seen) in found {
            if self.is_ending && !self.files.contains_key(&path) {
                continue;
            }
            if all && self.parked.contains_key(&path) {
                self.make_ready(path.clone());
            }
            self.look(path, seen);
        }
    }

    fn look(&mut self, path: PathBuf, seen: identity::Seen) {
        match self.files.get_mut(&path) {
            Some(file) if file.seen == seen => return,
            Some(file) => file.seen = seen,
            None => {
                let file = Followed::new(&self.context.config, path.clone(), seen);
                self.files.insert(path.clone(), file);
            }
        }
        self.make_ready(path);
    }

    fn make_ready(&mut self, path: PathBuf) {
        self.waiting.remove(&path);
        if let Some(file) = self.files.get_mut(&path)
            && !std::mem::replace(&mut file.is_queued, true)
        {
            self.ready.push_back(path);
        }
    }

    /// A file that is no longer there: renamed, or removed before all of it was read.
    fn gone(&mut self, path: &Path, found: &[(PathBuf, identity::Seen)]) {
        let Some(mut file) = self.files.remove(path) else { return };
        self.ready.retain(|one| one != path);
        self.waiting.remove(path);
        self.parked.remove(path);
        let renamed = found
            .iter()
            .find(|(there, seen)| seen.inode == file.seen.inode && !self.files.contains_key(there));
        if let Some((there, _)) = renamed {
            tracing::info!(from = %path.display(), to = %there.display(), "renamed");
            file.path.clone_from(there);
            if let Some(reading) = &mut file.reading {
                reading.checkpoint.path.clone_from(there);
                self.announced.entry(reading.checkpoint.file_id).and_modify(|path| path.clone_from(there));
            }
            file.is_queued = false;
            self.files.insert(there.clone(), file);
            self.make_ready(there.clone());
            return;
        }
        let unread = file.reading.as_ref().is_some_and(|reading| reading.announced.is_none());
        if let Some(reading) = &file.reading {
            self.announced.remove(&reading.checkpoint.file_id);
        }
        if unread {
            tracing::warn!(file = %path.display(), "was removed before it was closed; what was read of it stands");
            let mut chunk = Chunk { generation: self.generation, ..Chunk::default() };
            if let Err(error) = file.gone(&self.context, &mut chunk) {
                tracing::error!(file = %path.display(), %error, "its end could not be kept");
            }
            let _ = self.chunks.blocking_send(chunk);
        }
    }

    /// Reads some of the next file. The error says that nobody takes chunks any more.
    fn turn(&mut self) -> Result<(), mpsc::error::SendError<Chunk>> {
        let Some(path) = self.ready.pop_front() else { return Ok(()) };
        let Some(file) = self.files.get_mut(&path) else { return Ok(()) };
        file.is_queued = false;
        let finish = self.is_ending || is_quiet(&self.context, file);
        let mut chunk = Chunk { generation: self.generation, ..Chunk::default() };
        let turn = file.turn(&self.context, finish, &mut chunk);
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
            Ok(Turn::Empty) => tracing::debug!(file = %path.display(), "is empty; waiting for its header"),
            Ok(Turn::Parked(why)) => self.park(path, why),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.next_scan = Instant::now(),
            Err(error) => self.park(path, format!("cannot be read: {error}")),
        }
        if chunk.messages.is_empty() && chunk.marks.is_empty() {
            return Ok(());
        }
        self.chunks.blocking_send(chunk)
    }

    /// Sets a file aside, said once, until it changes. Other files flow on.
    fn park(&mut self, path: PathBuf, why: String) {
        if self.parked.get(&path) != Some(&why) {
            tracing::error!("{}: {why}", path.display());
            self.parked.insert(path, why);
        }
    }

    /// Files that were quiet for long enough get their last turn.
    fn finish_quiet(&mut self) {
        let quiet: Vec<PathBuf> = self
            .waiting
            .iter()
            .filter(|path| self.files.get(*path).is_some_and(|file| is_quiet(&self.context, file)))
            .cloned()
            .collect();
        for path in quiet {
            self.make_ready(path);
        }
    }

    fn longest_wait(&self) -> Duration {
        let tail = &self.context.config.tail;
        let scan = self.next_scan.saturating_duration_since(Instant::now());
        if self.waiting.is_empty() {
            scan
        } else {
            scan.min(tail.finish_after.max(Duration::from_millis(10)))
        }
    }

    fn closed(&mut self, file_id: FileId, closed: ClosedFile) -> Result<(), Error> {
        let Some(path) = self.announced.get(&file_id).cloned() else { return Ok(()) };
        let Some(file) = self.files.get_mut(&path) else { return Ok(()) };
        let Some(reading) = &mut file.reading else { return Ok(()) };
        let is_this = reading.announced.is_some_and(|account| {
            (account.revision, account.rows_read) == (closed.revision, closed.rows_read)
        });
        if !is_this {
            return Ok(());
        }
        let config = &self.context.config;
        let put = archive::put_away(
            &self.context.store,
            reading.checkpoint.clone(),
            file.seen,
            config.tail.on_close,
            &config.archive_dir(),
        );
        self.announced.remove(&file_id);
        match put {
            Ok(Put::Away) if config.tail.on_close == common::config::OnClose::Keep => {
                reading.checkpoint.state = checkpoint::State::Kept;
            }
            Ok(Put::Away) => drop(self.files.remove(&path)),
            Ok(Put::Grew) => self.make_ready(path),
            Err(archive::Error::Checkpoint(error)) => return Err(error.into()),
            Err(error) => {
                let why = format!(
                    "every row of it is in a table, but it could not be put away: {:#}",
                    Chain(&error)
                );
                self.park(path, why);
            }
        }
        Ok(())
    }
}

fn is_quiet(context: &Context, file: &Followed) -> bool {
    let quiet_us = context.clock.micros() - file.seen.written_us;
    u128::try_from(quiet_us).unwrap_or(0) >= context.config.tail.finish_after.as_micros()
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
