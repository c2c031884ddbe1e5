//! One file that is followed: which file it is, opened where it was left, read to its end for now.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use common::config::{Config, Source};
use common::wire::FileState;
use common::{Clock, FileId};

use crate::checkpoint::{Checkpoint, Reached, State, Store};
use crate::map::{Mapping, Unmappable, delimiter_of, source_of};
use crate::tail::buffer::Buffer;
use crate::tail::content::Got;
use crate::tail::head::{self, Head};
use crate::tail::identity::{Identity, Seen, hash};
use crate::tail::reading::{Chunk, Reading};
use crate::tail::records::Splitter;

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
            turn => turn,
        };
        if !matches!(turn, Ok(Turn::More)) {
            self.buffer.close();
        }
        turn
    }

    /// The account of a file that is gone, or another one, before its end was read.
    pub(crate) fn gone(&mut self, context: &Context, chunk: &mut Chunk) -> io::Result<()> {
        self.buffer.close();
        let Some(mut reading) = self.reading.take() else { return Ok(()) };
        if reading.checkpoint.state != State::Reading {
            return Ok(());
        }
        reading.announce(FileState::Truncated, context.clock, chunk);
        reading.checkpoint.state = State::Truncated;
        context.store.put(reading.checkpoint).map_err(io::Error::other)
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
            return match self.identify(context, at_end, chunk)? {
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
        if seen.inode == reading.checkpoint.identity.inode && buffer.fits(&reading.checkpoint.reached) {
            (self.buffer, self.seen) = (buffer, seen);
            return Ok(());
        }
        tracing::warn!(file = %self.path.display(), "was rewritten: what was read stands, what is there is a new file");
        self.gone(context, chunk)?;
        self.open(context, chunk)
    }

    /// Settles which file this is as soon as its header and first record are there; `None` until then.
    fn identify(&mut self, context: &Context, finish: bool, chunk: &mut Chunk) -> io::Result<Option<Turn>> {
        let splitter = Splitter {
            delimiter: delimiter_of(&self.source, &self.path),
            comment: self.source.comment.and_then(|sign| u8::try_from(sign).ok()),
        };
        let head = match head::find(self.buffer.rest(), splitter, finish) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(None),
            Err(why) => return Ok(Some(Turn::Parked(why))),
        };
        let mut known = context.store.of_inode(self.seen.inode);
        known.retain(|one| one.identity.fits(self.seen.inode, self.buffer.rest()));
        if let Some(latest) = known.first()
            && self.resume(context, latest, chunk)?
        {
            return Ok(Some(Turn::More));
        }
        let identity = Identity {
            inode: self.seen.inode,
            head_length: head.length as u64,
            head_hash: hash(&self.buffer.rest()[..head.length]),
            incarnation: known.first().map_or(0, |latest| latest.identity.incarnation + 1),
        };
        match self.start(context, identity, head, splitter.delimiter, chunk)? {
            Ok(()) => Ok(Some(Turn::More)),
            Err(Unmappable(why)) => Ok(Some(Turn::Parked(why))),
        }
    }

    /// A file that is met for the first time.
    fn start(
        &mut self,
        context: &Context,
        identity: Identity,
        head: Head,
        delimiter: u8,
        chunk: &mut Chunk,
    ) -> io::Result<Result<(), Unmappable>> {
        let mapping = match Mapping::resolve(&context.config, &self.source, delimiter, head.header) {
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

    /// A file that was met before goes on where it was acknowledged. Says no where it is another one after all.
    fn resume(&mut self, context: &Context, known: &Checkpoint, chunk: &mut Chunk) -> io::Result<bool> {
        let (State::Reading | State::Kept, Some(mapping)) = (&known.state, &known.mapping) else {
            return Ok(false);
        };
        let checkpoint = Checkpoint { path: self.path.clone(), ..known.clone() };
        let (buffer, _) = Buffer::open(&self.path, &checkpoint.reached)?;
        let fits = buffer.fits(&checkpoint.reached);
        let max_record = context.config.tail.max_record_bytes;
        self.reading = Some(Box::new(Reading::new(checkpoint, mapping, context.max_payload, max_record)));
        if !fits {
            tracing::warn!(file = %self.path.display(), "was rewritten while nobody read it: it is a new file");
            let again = Buffer::open(&self.path, &Reached::default())?.0;
            self.gone(context, chunk)?;
            self.buffer = again;
            self.buffer.fill()?;
            return Ok(false);
        }
        self.buffer = buffer;
        Ok(true)
    }
}

fn unfinished(finish: bool) -> Turn {
    if finish { Turn::Parked(UNFINISHED.to_owned()) } else { Turn::Waiting }
}
