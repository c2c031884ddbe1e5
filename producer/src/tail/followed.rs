//! One file that is followed: which file it is, opened where it was left, read to its end for now.

mod identify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::{Config, Source};
use common::wire::FileState;
use common::{Clock, FileId};

use crate::checkpoint::{Ahead, Checkpoint, Reached, State, Store};
use crate::map::{Unmappable, source_of};
use crate::tail::buffer::Buffer;
use crate::tail::content::{self, Got};
use crate::tail::head::Head;
use crate::tail::identity::{Identity, Seen};
use crate::tail::reading::{Chunk, Reading};
use crate::tail::{settle, truncated};

/// Why a compressed file is parked.
pub(crate) const UNFINISHED: &str = "the compressed file stops before its end; copy it again";

/// What all files of one tailer share.
#[derive(Debug)]
pub(crate) struct Context {
    pub config: Config,
    pub store: Arc<Store>,
    pub clock: Clock,
    /// The broker's limit.
    pub max_payload: usize,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There may be more to read at once.
    More,
    /// The end for now: nothing more until the file changes or counts as finished.
    Waiting,
    /// All rows and the account are on their way: nothing more until the file changes or is closed.
    Announced,
    /// The file was closed before and has not changed.
    Done,
    /// Not a byte yet.
    Empty,
    /// It cannot be read as it is; the sentence says why.
    Parked(String),
}

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct Followed {
    pub path: PathBuf,
    pub seen: Seen,
    /// Whether it is in the tailer's queue already.
    pub is_queued: bool,
    /// Set once header and first record were there.
    pub reading: Option<Box<Reading>>,
    source: Source,
    buffer: Buffer,
}

impl Followed {
    pub(crate) fn new(config: &Config, path: PathBuf, seen: Seen) -> Self {
        let source = source_of(config, &path);
        Self { path, seen, is_queued: false, reading: None, source, buffer: Buffer::default() }
    }

    /// Under which id its rows go, once that is settled.
    pub(crate) fn file_id(&self) -> Option<FileId> {
        self.reading.as_ref().map(|reading| reading.checkpoint.file_id)
    }

    /// Reads and maps some of the file. With `finish` its end is its end: a last line without line end is a record,
    /// and the account follows the last row.
    pub(crate) fn turn(&mut self, context: &Context, finish: bool, chunk: &mut Chunk) -> io::Result<Turn> {
        let turn = match self.read(context, finish, chunk) {
            // Only a compressed file ends unexpectedly, here while what was read before is passed over.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(unfinished(finish)),
            // Opened again, it shows what it is now.
            Err(error) if content::is_rewritten(&error) => {
                self.buffer.close();
                Ok(Turn::More)
            }
            turn => turn,
        };
        if !matches!(turn, Ok(Turn::More)) {
            self.buffer.close();
        }
        if let Some(reading) = &mut self.reading {
            reading.note_ahead(&context.store);
        }
        turn
    }

    /// Ends the account of a file that is gone, or another one, before it was closed.
    pub(crate) fn end(&mut self, context: &Context, chunk: &mut Chunk) -> io::Result<()> {
        self.buffer.close();
        if let Some(reading) = &self.reading
            && reading.checkpoint.state == State::Reading
        {
            truncated::truncate(context, &reading.checkpoint, chunk).map_err(io::Error::other)?;
        }
        self.reading = None;
        Ok(())
    }

    /// Begins again behind the header, unless the file is closed: the stream has lost what was sent.
    pub(crate) fn rewind(&mut self) -> bool {
        let reading = self.reading.as_mut().filter(|one| one.checkpoint.state == State::Reading);
        self.buffer.close();
        reading.map(|reading| reading.rewind()).is_some()
    }

    fn read(&mut self, context: &Context, finish: bool, chunk: &mut Chunk) -> io::Result<Turn> {
        self.open(context, chunk)?;
        let got = self.buffer.fill()?;
        self.seen.written_us = Seen::from(&fs::metadata(&self.path)?).written_us;
        let at_end = finish && got == Got::End;
        let Some(reading) = &mut self.reading else {
            return match self.identify(context, got, finish, chunk)? {
                Some(turn) => Ok(turn),
                None if got == Got::More => Ok(Turn::More),
                None if got == Got::Unfinished => Ok(unfinished(finish)),
                None => Ok(if self.seen.size == 0 { Turn::Empty } else { Turn::Waiting }),
            };
        };
        if got == Got::More && reading.checkpoint.state == State::Kept {
            reading.checkpoint.state = State::Reading;
            context.store.put(reading.checkpoint.clone()).map_err(io::Error::other)?;
        }
        reading.take(&mut self.buffer, at_end, self.seen.written_us, chunk);
        match got {
            Got::More => Ok(Turn::More),
            Got::Unfinished => {
                if finish {
                    reading.announce(FileState::Open, context.clock, chunk);
                }
                Ok(unfinished(finish))
            }
            Got::End if reading.checkpoint.state == State::Kept => Ok(Turn::Done),
            Got::End if finish => {
                reading.announce(FileState::Finished, context.clock, chunk);
                Ok(Turn::Announced)
            }
            Got::End => Ok(Turn::Waiting),
        }
    }

    /// Opens the file where it was left. One that was rewritten since is another file.
    fn open(&mut self, context: &Context, chunk: &mut Chunk) -> io::Result<()> {
        if self.buffer.is_open() {
            return Ok(());
        }
        let Some(reading) = &self.reading else {
            (self.buffer, self.seen) = Buffer::open(&self.path, &Reached::default())?;
            return Ok(());
        };
        let (buffer, seen) = Buffer::open(&self.path, &reading.checkpoint.reached)?;
        if seen.inode != reading.checkpoint.identity.inode {
            // Replaced, or renamed and another one made: a scan tells which.
            return Err(io::ErrorKind::NotFound.into());
        }
        if holds(&self.path, &buffer, &reading.checkpoint.reached, reading.ahead())? {
            (self.buffer, self.seen) = (buffer, seen);
            return Ok(());
        }
        tracing::warn!(
            file = %self.path.display(),
            rows_read = reading.checkpoint.reached.row,
            "was rewritten: what was read stands and cannot be published again, what is there is a new file"
        );
        self.end(context, chunk)?;
        self.open(context, chunk)
    }

    /// A file that is met for the first time.
    fn start(
        &mut self,
        context: &Context,
        identity: Identity,
        head: &Head,
        delimiter: u8,
        chunk: &mut Chunk,
    ) -> io::Result<Result<(), Unmappable>> {
        let (config, of_file) = (&context.config, |file| context.store.of_file(file));
        let beginning = (head, self.buffer.rest());
        let mapping = match settle::mapping(config, &self.source, delimiter, beginning, of_file) {
            Ok(mapping) => Arc::new(mapping),
            Err(unmappable) => return Ok(Err(unmappable)),
        };
        let file_id = identity.file_id(context.store.source_id());
        self.buffer.advance(head.rows_begin);
        let start = Reached {
            offset: self.buffer.offset(),
            tail_hash: self.buffer.tail_hash(),
            ..Reached::default()
        };
        let mut checkpoint = Checkpoint::new(file_id, identity, &self.path);
        (checkpoint.start, checkpoint.reached) = (start, start);
        checkpoint.mapping = Some(mapping.clone());
        context.store.put(checkpoint.clone()).map_err(io::Error::other)?;
        let max_record = context.config.tail.max_record_bytes;
        let mut reading = Reading::new(checkpoint, &mapping, context.max_payload, max_record);
        reading.announce(FileState::Open, context.clock, chunk);
        reading.take(&mut self.buffer, false, self.seen.written_us, chunk);
        tracing::debug!(file = %self.path.display(), %file_id, source = mapping.source, "reading");
        self.reading = Some(Box::new(reading));
        Ok(Ok(()))
    }
}

/// Whether the file has everything that was read and sent of it. `buffer` is open at `reached`.
fn holds(path: &Path, buffer: &Buffer, reached: &Reached, ahead: &Ahead) -> io::Result<bool> {
    let is_ahead = ahead.reached.offset > reached.offset;
    Ok(buffer.fits(reached) && (!is_ahead || Buffer::open(path, &ahead.reached)?.0.fits(&ahead.reached)))
}

fn unfinished(finish: bool) -> Turn {
    if finish { Turn::Parked(UNFINISHED.to_owned()) } else { Turn::Waiting }
}
