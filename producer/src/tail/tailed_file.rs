//! One file of the landing directory over time: which file it is, opened at its checkpoint, read to its current end.

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
    fn next_revision(&self) -> io::Result<i64> {
        self.store.next_revision(self.clock).map_err(io::Error::other)
    }
}

/// What to expect of a file after some of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadState {
    /// There may be more to read at once.
    More,
    /// The end was reached: there is nothing more until the file changes or counts as finished.
    Waiting,
    /// All rows and the totals are in the chunk: there is nothing more until the file changes or is closed.
    Announced,
    /// The file was closed before and has not changed.
    Done,
    /// The end was reached, and there is no header: the file is empty, or has only blank lines and comments.
    Empty,
    /// It cannot be read as it is, for this reason.
    Parked(String),
}

#[derive(Debug)]
pub(crate) struct TailedFile {
    pub path: PathBuf,
    /// As of the last check.
    pub stat: FileStat,
    /// Since when `stat` has been the same, or reading failed.
    quiet_since: Instant,
    /// The file when it was opened, before its first byte was read.
    opened: FileStat,
    /// Whether it is in the tailer's queue already.
    pub is_queued: bool,
    /// Set once header and first record are complete.
    pub reading: Option<Box<Reading>>,
    /// Set while the file is open and its header is not complete.
    new_file: Option<NewFile>,
}

impl TailedFile {
    pub(crate) fn new(path: PathBuf, stat: FileStat) -> Self {
        Self {
            path,
            stat,
            quiet_since: Instant::now(),
            opened: stat,
            is_queued: false,
            reading: None,
            new_file: None,
        }
    }

    /// Returns whether the file has changed.
    pub(crate) fn update_stat(&mut self, stat: FileStat) -> bool {
        let is_new = self.stat != stat;
        if is_new {
            self.stat = stat;
            self.quiet_since = Instant::now();
        }
        is_new
    }

    /// Delays the next attempt by `tail.finish_after`.
    pub(crate) fn restart_quiet_period(&mut self) {
        self.quiet_since = Instant::now();
    }

    /// How long it takes until the file counts as quiet, if it does not change. This is measured by how long it has been
    /// the same here, since its modification time may come from the clock of another machine, or be set by a user.
    pub(crate) fn quiet_in(&self, context: &Context) -> Duration {
        context.config.tail.finish_after.saturating_sub(self.quiet_since.elapsed())
    }

    /// `None` until the header is complete.
    pub(crate) fn file_id(&self) -> Option<FileId> {
        self.reading.as_ref().map(|reading| reading.checkpoint.file_id)
    }

    /// Reads and maps some of the file. If it is quiet, or `is_ending`, the end of the file is final: a last line without
    /// line end is a record, and the totals follow the last row.
    pub(crate) fn read(
        &mut self,
        context: &Context,
        is_ending: bool,
        chunk: &mut Chunk,
    ) -> io::Result<ReadState> {
        let state = match self.read_open(context, is_ending, chunk) {
            // Only a compressed file ends unexpectedly, here while bytes that were read before are skipped.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(unfinished(is_ending || self.quiet_in(context).is_zero()))
            }
            // Until it changes it would fail again.
            Err(error) if compressed::is_damaged(&error) => Ok(ReadState::Parked(error.to_string())),
            // It is opened again, and identified by what it contains now.
            Err(error) if content::is_rewritten(&error) => {
                self.close();
                Ok(ReadState::More)
            }
            state => state,
        };
        if !matches!(state, Ok(ReadState::More)) {
            self.close();
        }
        if let Some(reading) = &mut self.reading {
            reading.note_sent(&context.store);
        }
        state
    }

    /// Sends the totals of a file that was removed or rewritten before it was closed.
    pub(crate) fn truncate(&mut self, context: &Context, chunk: &mut Chunk) -> io::Result<()> {
        self.close();
        if let Some(reading) = &self.reading
            && reading.checkpoint.state == State::Reading
        {
            truncated::truncate(context, &reading.checkpoint, chunk).map_err(io::Error::other)?;
        }
        self.reading = None;
        Ok(())
    }

    /// Begins again behind the header, unless the file is closed, since the stream has lost what was sent.
    pub(crate) fn rewind(&mut self) -> bool {
        self.close();
        let reading = self.reading.as_mut().filter(|one| one.checkpoint.state == State::Reading);
        reading.map(|reading| reading.rewind()).is_some()
    }

    fn close(&mut self) {
        self.new_file = None;
        if let Some(reading) = &mut self.reading {
            reading.reader.buffer.close();
        }
    }

    fn read_open(&mut self, context: &Context, is_ending: bool, chunk: &mut Chunk) -> io::Result<ReadState> {
        self.open(context, chunk)?;
        let got = self.fill()?;
        let now = FileStat::from(&fs::metadata(&self.path)?);
        if now.inode != self.opened.inode {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Then more may follow, and the notification of it has already been received.
        let is_written = self.update_stat(now) && got == Got::End;
        let finish = !is_written && (is_ending || self.quiet_in(context).is_zero());
        // By a clock that is fast, rows would be written after they are read.
        let written_us = now.written_us.min(context.clock.micros());
        let Some(reading) = &mut self.reading else {
            return match self.identify(context, got, finish, chunk)? {
                Some(state) => Ok(state),
                None if is_written => Ok(self.reopen_later()),
                None if got == Got::More => Ok(ReadState::More),
                None if got == Got::Unfinished => Ok(unfinished(finish)),
                None => Ok(if finish { ReadState::Empty } else { ReadState::Waiting }),
            };
        };
        if got == Got::More && reading.checkpoint.state == State::Kept {
            reading.checkpoint.state = State::Reading;
            context.store.put(reading.checkpoint.clone());
        }
        reading.take(finish && got == Got::End, written_us, chunk).map_err(io::Error::other)?;
        match got {
            Got::More => Ok(ReadState::More),
            Got::Unfinished => {
                if finish {
                    let revision = context.next_revision()?;
                    reading.announce(FileState::Open, revision, chunk);
                }
                Ok(unfinished(finish))
            }
            Got::End if is_written => Ok(self.reopen_later()),
            Got::End if reading.checkpoint.state == State::Kept => Ok(ReadState::Done),
            Got::End if finish => {
                reading.announce_end(self.opened, context.next_revision()?, chunk);
                Ok(ReadState::Announced)
            }
            Got::End => Ok(ReadState::Waiting),
        }
    }

    /// Opens the file at its checkpoint. One that was rewritten since is a new file.
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
            // The file was replaced, or renamed: a scan finds out which.
            return Err(io::ErrorKind::NotFound.into());
        }
        if is_unchanged(&self.path, &buffer, &reading.checkpoint.reached, reading.sent())? {
            reading.reader.reopen(reading.checkpoint.reached, buffer);
            self.opened_at(opened);
            return Ok(());
        }
        tracing::warn!(
            file = %Printable(self.path.display()),
            rows_read = reading.checkpoint.reached.row,
            "was rewritten: the rows that were read are kept and cannot be published again, the content is read as a new file"
        );
        self.truncate(context, chunk)?;
        self.open(context, chunk)
    }

    /// Lets the next read open the file again.
    fn reopen_later(&mut self) -> ReadState {
        self.close();
        ReadState::More
    }

    fn is_open(&self) -> bool {
        self.new_file.is_some()
            || self.reading.as_ref().is_some_and(|reading| reading.reader.buffer.is_open())
    }

    fn fill(&mut self) -> io::Result<Got> {
        match (&mut self.reading, &mut self.new_file) {
            (Some(reading), _) => reading.reader.fill(),
            (None, Some(new_file)) => new_file.buffer.fill(),
            (None, None) => Ok(Got::End),
        }
    }

    fn opened_at(&mut self, opened: FileStat) {
        self.opened = opened;
        self.update_stat(opened);
    }
}

/// Whether all bytes that were read and sent are still the same. `buffer` is open at `reached`.
fn is_unchanged(path: &Path, buffer: &Buffer, reached: &Position, sent: &SentPosition) -> io::Result<bool> {
    let is_sent_further = sent.reached.offset > reached.offset;
    Ok(buffer.fits(reached) && (!is_sent_further || Buffer::open(path, &sent.reached)?.0.fits(&sent.reached)))
}

fn unfinished(finish: bool) -> ReadState {
    if finish { ReadState::Parked(UNFINISHED.to_owned()) } else { ReadState::Waiting }
}
