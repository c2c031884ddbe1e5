//! One file that is followed: which file it is, opened where it was left, read to its end for now.

mod identify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::Config;
use common::printable::Printable;
use common::wire::FileState;
use common::{Clock, FileId};

use crate::checkpoint::{SentPosition, State, Store};
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file::compressed::{self, UNFINISHED};
use crate::file::content::{self, Got};
use crate::file::identity::FileStat;
use crate::file_reader::NewFile;
use crate::map::MappingRules;
use crate::tail::reading::{Chunk, Reading};
use crate::tail::truncated;

/// What all files of one tailer share.
#[derive(Debug)]
pub(crate) struct Context {
    pub config: Config,
    pub store: Arc<Store>,
    pub clock: Clock,
    pub mapping_rules: MappingRules,
}

impl Context {
    /// As [`Store::next_revision`].
    fn next_revision(&self) -> io::Result<i64> {
        self.store.next_revision(self.clock).map_err(io::Error::other)
    }
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
    /// The end, and there is no header: no byte yet, or nothing but blank lines and comments.
    Empty,
    /// It cannot be read as it is; the sentence says why.
    Parked(String),
}

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct TailedFile {
    pub path: PathBuf,
    /// The file when it was looked at last.
    pub seen: FileStat,
    /// Since when it has been so, or reading it failed.
    quiet_since: Instant,
    /// The file before the first byte was read since it was opened.
    opened: FileStat,
    /// Whether it is in the tailer's queue already.
    pub is_queued: bool,
    /// Set once header and first record were there.
    pub reading: Option<Box<Reading>>,
    /// Set while it is open without a header.
    new_file: Option<NewFile>,
}

impl TailedFile {
    pub(crate) fn new(path: PathBuf, seen: FileStat) -> Self {
        Self {
            path,
            seen,
            quiet_since: Instant::now(),
            opened: seen,
            is_queued: false,
            reading: None,
            new_file: None,
        }
    }

    /// Takes note of how the file is now; whether that is something new.
    pub(crate) fn look(&mut self, seen: FileStat) -> bool {
        let is_new = self.seen != seen;
        if is_new {
            self.seen = seen;
            self.quiet_since = Instant::now();
        }
        is_new
    }

    /// Lets the file count as quiet from now on, so that it is tried again later.
    pub(crate) fn put_off(&mut self) {
        self.quiet_since = Instant::now();
    }

    /// How long it is until the file counts as quiet, if nothing happens to it. What counts is for how long it was
    /// seen to be the same here: its times are told by the clock of another machine, or by whoever has set them.
    pub(crate) fn quiet_in(&self, context: &Context) -> Duration {
        context.config.tail.finish_after.saturating_sub(self.quiet_since.elapsed())
    }

    /// Under which id its rows go, once that is settled.
    pub(crate) fn file_id(&self) -> Option<FileId> {
        self.reading.as_ref().map(|reading| reading.checkpoint.file_id)
    }

    /// Reads and maps some of the file. Where it is quiet, or `is_ending`, its end is its end: a last line without line
    /// end is a record, and the account follows the last row.
    pub(crate) fn turn(&mut self, context: &Context, is_ending: bool, chunk: &mut Chunk) -> io::Result<Turn> {
        let turn = match self.read(context, is_ending, chunk) {
            // Only a compressed file ends unexpectedly, here while what was read before is passed over.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(unfinished(is_ending || self.quiet_in(context).is_zero()))
            }
            // Until it changes it would fail again.
            Err(error) if compressed::is_damaged(&error) => Ok(Turn::Parked(error.to_string())),
            // Opened again, it shows what it is now.
            Err(error) if content::is_rewritten(&error) => {
                self.close();
                Ok(Turn::More)
            }
            turn => turn,
        };
        if !matches!(turn, Ok(Turn::More)) {
            self.close();
        }
        if let Some(reading) = &mut self.reading {
            reading.note_sent(&context.store);
        }
        turn
    }

    /// Ends the account of a file that is gone, or another one, before it was closed.
    pub(crate) fn end(&mut self, context: &Context, chunk: &mut Chunk) -> io::Result<()> {
        self.close();
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
        self.close();
        let reading = self.reading.as_mut().filter(|one| one.checkpoint.state == State::Reading);
        reading.map(|reading| reading.rewind()).is_some()
    }

    fn close(&mut self) {
        self.new_file = None;
        if let Some(reading) = &mut self.reading {
            reading.reader.close();
        }
    }

    fn read(&mut self, context: &Context, is_ending: bool, chunk: &mut Chunk) -> io::Result<Turn> {
        self.open(context, chunk)?;
        let got = self.fill()?;
        let now = FileStat::from(&fs::metadata(&self.path)?);
        if now.inode != self.opened.inode {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Then that end may not be the end any more, and the system has said so already.
        let is_written = self.look(now) && got == Got::End;
        let finish = !is_written && (is_ending || self.quiet_in(context).is_zero());
        // A clock that is ahead of ours would have rows written after they are read.
        let written_us = now.written_us.min(context.clock.micros());
        let Some(reading) = &mut self.reading else {
            return match self.identify(context, got, finish, chunk)? {
                Some(turn) => Ok(turn),
                None if is_written => Ok(self.again()),
                None if got == Got::More => Ok(Turn::More),
                None if got == Got::Unfinished => Ok(unfinished(finish)),
                None => Ok(if finish { Turn::Empty } else { Turn::Waiting }),
            };
        };
        if got == Got::More && reading.checkpoint.state == State::Kept {
            reading.checkpoint.state = State::Reading;
            context.store.put(reading.checkpoint.clone());
        }
        reading.take(finish && got == Got::End, written_us, chunk).map_err(io::Error::other)?;
        match got {
            Got::More => Ok(Turn::More),
            Got::Unfinished => {
                if finish {
                    let revision = context.next_revision()?;
                    reading.announce(FileState::Open, revision, chunk);
                }
                Ok(unfinished(finish))
            }
            Got::End if is_written => Ok(self.again()),
            Got::End if reading.checkpoint.state == State::Kept => Ok(Turn::Done),
            Got::End if finish => {
                reading.announce_end(self.opened, context.next_revision()?, chunk);
                Ok(Turn::Announced)
            }
            Got::End => Ok(Turn::Waiting),
        }
    }

    /// Opens the file where it was left. One that was rewritten since is another file.
    fn open(&mut self, context: &Context, chunk: &mut Chunk) -> io::Result<()> {
        if self.is_open() {
            return Ok(());
        }
        let Some(reading) = &mut self.reading else {
            let (new_file, opened) = NewFile::open(&context.mapping_rules, &self.path, &self.path)?;
            self.new_file = Some(new_file);
            self.opened_at(opened);
            return Ok(());
        };
        reading.resume(context.mapping_rules.max_payload()).map_err(io::Error::other)?;
        let (buffer, opened) = Buffer::open(&self.path, &reading.checkpoint.reached)?;
        if opened.inode != reading.checkpoint.identity.inode {
            // Replaced, or renamed and another one made: a scan tells which.
            return Err(io::ErrorKind::NotFound.into());
        }
        if holds(&self.path, &buffer, &reading.checkpoint.reached, reading.sent())? {
            reading.reader.reopen(reading.checkpoint.reached, buffer);
            self.opened_at(opened);
            return Ok(());
        }
        tracing::warn!(
            file = %Printable(self.path.display()),
            rows_read = reading.checkpoint.reached.row,
            "was rewritten: what was read stands and cannot be published again, what is there is a new file"
        );
        self.end(context, chunk)?;
        self.open(context, chunk)
    }

    /// The next turn opens the file anew.
    fn again(&mut self) -> Turn {
        self.close();
        Turn::More
    }

    fn is_open(&self) -> bool {
        self.new_file.is_some() || self.reading.as_ref().is_some_and(|reading| reading.reader.is_open())
    }

    fn fill(&mut self) -> io::Result<Got> {
        match (&mut self.reading, &mut self.new_file) {
            (Some(reading), _) => reading.reader.fill(),
            (None, Some(new_file)) => new_file.fill(),
            (None, None) => Ok(Got::End),
        }
    }

    fn opened_at(&mut self, opened: FileStat) {
        self.opened = opened;
        self.look(opened);
    }
}

/// Whether the file has everything that was read and sent of it. `buffer` is open at `reached`.
fn holds(path: &Path, buffer: &Buffer, reached: &Position, sent: &SentPosition) -> io::Result<bool> {
    let is_sent_further = sent.reached.offset > reached.offset;
    Ok(buffer.fits(reached) && (!is_sent_further || Buffer::open(path, &sent.reached)?.0.fits(&sent.reached)))
}

fn unfinished(finish: bool) -> Turn {
    if finish { Turn::Parked(UNFINISHED.to_owned()) } else { Turn::Waiting }
}
