//! The rows of one file as messages. What enters is the buffer, what leaves is a [`Chunk`].

use std::sync::Arc;

use async_nats::Subject;
use common::Clock;
use common::event::Reason;
use common::stream;
use common::wire::{FileMessage, FileState, VERSION};
use memchr::memchr;

use crate::checkpoint::{Checkpoint, Reached};
use crate::map::{Mapped, Mapper, Mapping, Position};
use crate::tail::buffer::Buffer;
use crate::tail::records::{Field, Split, Splitter};

/// The longest header, in bytes, that an account tells.
const LONGEST_HEADER: usize = 64 << 10;

/// What one turn at a file brought, in the file's order.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Counts the times that everything is read again; a chunk from before is void.
    pub generation: u64,
    pub messages: Vec<Mapped>,
    /// Where files stand once all messages are acknowledged.
    pub marks: Vec<Checkpoint>,
}

/// A file whose header is known.
#[derive(Debug)]
pub(crate) struct Reading {
    pub checkpoint: Checkpoint,
    /// The account that was sent last, where nothing was read since.
    pub announced: Option<Account>,
    mapper: Mapper,
    splitter: Splitter,
    fields: Vec<Field>,
    max_record: usize,
    /// A line that is longer than a record may be, while its end has not been seen: its offset and its beginning.
    overlong: Option<(u64, Vec<u8>)>,
    /// Rejected rows that were told, and the first one after them.
    rejected_before: i64,
    first_rejected: Option<String>,
}

/// What was said about a file's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub revision: i64,
    pub rows_read: i64,
}

impl Reading {
    pub(crate) fn new(
        checkpoint: Checkpoint,
        mapping: &Arc<Mapping>,
        max_payload: usize,
        max_record: usize,
    ) -> Self {
        let mapping = Mapping::clone(mapping);
        Self {
            rejected_before: checkpoint.reached.rejected,
            splitter: Splitter { delimiter: mapping.delimiter, comment: mapping.comment },
            mapper: Mapper::new(mapping, max_payload),
            first_rejected: None,
            announced: None,
            fields: Vec::new(),
            max_record,
            overlong: None,
            checkpoint,
        }
    }

    /// Begins again behind the header.
    pub(crate) fn rewind(&mut self) {
        self.checkpoint.reached = self.checkpoint.start;
        self.checkpoint.stream = None;
        self.announced = None;
        self.overlong = None;
        self.rejected_before = 0;
    }

    /// Maps every record whose end is at hand; with `finish` the end of the buffer is a line end too.
    pub(crate) fn take(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64, chunk: &mut Chunk) {
        let before = self.checkpoint.reached;
        while let Some(message) = self.next(buffer, finish, written_us) {
            chunk.messages.push(message);
        }
        if self.overlong.is_none() {
            self.checkpoint.reached.offset = buffer.offset();
            self.checkpoint.reached.tail_hash = buffer.tail_hash();
        }
        if self.checkpoint.reached != before {
            self.announced = None;
            self.pin();
            chunk.marks.push(self.checkpoint.clone());
        }
    }

    /// Sends the account of what was read so far.
    pub(crate) fn announce(&mut self, state: FileState, clock: Clock, chunk: &mut Chunk) {
        let Reached { row, published, rejected, offset, .. } = self.checkpoint.reached;
        // By the clock, so that it rises also when a crash has lost the last one.
        let revision = clock.micros();
        let message = FileMessage {
            v: VERSION,
            file_id: self.checkpoint.file_id,
            revision,
            path: self.checkpoint.path.to_string_lossy().into_owned(),
            source: self.mapper.mapping().source.clone(),
            bytes: offset.cast_signed(),
            state,
            rows_read: row,
            published,
            rejected,
            header: self.header(),
            delimiter: Some(char::from(self.splitter.delimiter)),
        };
        let payload = serde_json::to_vec(&message).unwrap_or_default().into();
        chunk.messages.push(Mapped { subject: Subject::from_static(stream::FILE), payload, rejected: None });
        if state == FileState::Finished {
            self.announced = Some(Account { revision, rows_read: row });
            self.tell_rejected();
        }
    }

    /// The column names, unless they are so long that the account might not fit a message.
    fn header(&self) -> Vec<String> {
        let header = &self.mapper.mapping().header;
        if header.iter().map(String::len).sum::<usize>() > LONGEST_HEADER {
            return Vec::new();
        }
        // PostgreSQL can store no NUL.
        header.iter().map(|name| name.replace('\0', "\u{2400}")).collect()
    }

    /// The mapping learns the form of times from the first row, and the checkpoint must know it too.
    fn pin(&mut self) {
        let mapping = self.mapper.mapping();
        let pinned =
            self.checkpoint.mapping.as_ref().is_some_and(|pinned| pinned.time_form == mapping.time_form);
        if !pinned {
            self.checkpoint.mapping = Some(Arc::new(mapping.clone()));
        }
    }

    fn tell_rejected(&mut self) {
        let rejected = self.checkpoint.reached.rejected;
        if rejected > std::mem::replace(&mut self.rejected_before, rejected) {
            let file = self.checkpoint.path.display();
            let first = self.first_rejected.take().unwrap_or_default();
            tracing::warn!(%file, rejected, rows = self.checkpoint.reached.row, first, "has rows that are no events");
        }
    }

    fn next(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        if self.overlong.is_some() {
            return self.end_overlong(buffer, finish, written_us);
        }
        if self.checkpoint.reached.unterminated {
            return self.after_unterminated(buffer, finish, written_us);
        }
        let skipped = self.splitter.skip(buffer.rest(), finish)?;
        buffer.advance(skipped);
        let rest = buffer.rest();
        if rest.is_empty() {
            return None;
        }
        match self.splitter.split(rest, finish, &mut self.fields) {
            Split::Record { end, next } if end <= self.max_record => {
                let position = self.position(buffer.offset(), next, written_us);
                let message = self.mapper.map(&buffer.rest()[..end], &self.fields, position);
                self.checkpoint.reached.unterminated = buffer.rest()[end..next].is_empty();
                buffer.advance(next);
                Some(self.count(message))
            }
            Split::Partial | Split::OpenQuote if rest.len() <= self.max_record && !finish => None,
            Split::OpenQuote if rest.len() <= self.max_record => {
                self.line(buffer, finish, written_us, "a quote is never closed".to_owned())
            }
            _ => {
                let message = format!(
                    "the record is longer than {} bytes, or a quote is never closed",
                    self.max_record
                );
                self.line(buffer, finish, written_us, message)
            }
        }
    }

    /// Rejects one physical line, so that what is wrong with it does not swallow the lines after it.
    fn line(
        &mut self,
        buffer: &mut Buffer,
        finish: bool,
        written_us: i64,
        message: String,
    ) -> Option<Mapped> {
        let rest = buffer.rest();
        let Some(next) = memchr(b'\n', rest).map(|end| end + 1).or_else(|| finish.then_some(rest.len()))
        else {
            self.overlong = Some((buffer.offset(), rest[..self.max_record.min(rest.len())].to_vec()));
            // The position stays before the line while its end is not there; the rows of this turn are before it.
            self.checkpoint.reached.offset = buffer.offset();
            self.checkpoint.reached.tail_hash = buffer.tail_hash();
            buffer.advance(buffer.rest().len());
            return None;
        };
        let position = self.position(buffer.offset(), next, written_us);
        let mut raw = &rest[..next];
        self.checkpoint.reached.unterminated = !raw.ends_with(b"\n");
        raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let message = self.mapper.refuse(raw, position, Reason::RecordTooLong, message);
        buffer.advance(next);
        Some(self.count(message))
    }

    fn end_overlong(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let rest = buffer.rest();
        let end = memchr(b'\n', rest);
        let passed = end.map_or(rest.len(), |end| end + 1);
        buffer.advance(passed);
        if end.is_none() && !finish {
            return None;
        }
        let (start, head) = self.overlong.take()?;
        let length = buffer.offset() - start;
        let mut position = self.position(start, 0, written_us);
        position.byte_end = buffer.offset();
        self.checkpoint.reached.unterminated = end.is_none();
        let message = format!(
            "the line has {length} bytes, a record may have {}; its beginning is kept",
            self.max_record
        );
        let message = self.mapper.refuse(&head, position, Reason::RecordTooLong, message);
        Some(self.count(message))
    }

    /// The last record was taken without its line end. When that comes, all is well; when more of the line comes, the
    /// record was taken too early, and the rest of the line cannot be a row.
    fn after_unterminated(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let rest = buffer.rest();
        let (line, next) = match memchr(b'\n', rest) {
            Some(end) => (rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), end + 1),
            None if finish && !rest.is_empty() => (rest, rest.len()),
            None => return None,
        };
        let position = self.position(buffer.offset(), next, written_us);
        let message = (!line.is_empty()).then(|| {
            let message =
                "the line before was taken as finished, since nothing followed for finish_after".to_owned();
            self.mapper.refuse(line, position, Reason::LineContinued, message)
        });
        let ended = rest[..next].ends_with(b"\n");
        buffer.advance(next);
        self.checkpoint.reached.unterminated = !ended;
        match message {
            Some(message) => Some(self.count(message)),
            None => self.next(buffer, finish, written_us),
        }
    }

    fn position(&self, byte_start: u64, length: usize, written_us: i64) -> Position {
        Position {
            file: self.checkpoint.file_id,
            row: self.checkpoint.reached.row + 1,
            byte_start,
            byte_end: byte_start + length as u64,
            written_us,
        }
    }

    fn count(&mut self, message: Mapped) -> Mapped {
        let reached = &mut self.checkpoint.reached;
        reached.row += 1;
        match &message.rejected {
            None => reached.published += 1,
            Some(why) => {
                if self.first_rejected.is_none() && reached.rejected == self.rejected_before {
                    self.first_rejected = Some(format!("row {}, {}", reached.row, why.1));
                }
                reached.rejected += 1;
            }
        }
        message
    }
}
