//! The rows of one file as messages. What enters is the buffer, what leaves is a [`Chunk`].

use std::sync::Arc;

use common::Clock;
use common::event::Reason;
use common::wire::FileState;
use memchr::memchr;

use crate::checkpoint::{Ahead, Checkpoint, Store};
use crate::map::{Mapped, Mapper, Mapping, Position};
use crate::tail::account;
use crate::tail::buffer::Buffer;
use crate::tail::overlong::Overlong;
use crate::tail::records::{Field, Split, Splitter};

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
    /// How far rows were sent, which after a crash or a loss is beyond where reading stands.
    ahead: Ahead,
    is_noted: bool,
    mapper: Mapper,
    splitter: Splitter,
    fields: Vec<Field>,
    max_record: usize,
    /// A line that is longer than a record may be, while its end has not been seen.
    overlong: Option<Overlong>,
    /// Whether a line was rejected only because the file ended before its quote was closed.
    has_open_quote: bool,
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
            ahead: Ahead::of(&checkpoint),
            is_noted: true,
            rejected_before: checkpoint.reached.rejected,
            splitter: Splitter { delimiter: mapping.delimiter, comment: mapping.comment },
            mapper: Mapper::new(mapping, max_payload),
            first_rejected: None,
            announced: None,
            fields: Vec::new(),
            max_record,
            overlong: None,
            has_open_quote: false,
            checkpoint,
        }
    }

    /// Begins again behind the header.
    pub(crate) fn rewind(&mut self) {
        self.checkpoint.rewind();
        self.announced = None;
        self.overlong = None;
        self.rejected_before = 0;
    }

    /// Takes over how far rows were sent before.
    pub(crate) fn follow(&mut self, ahead: Ahead) {
        if ahead.reached.offset > self.ahead.reached.offset {
            self.checkpoint.cuts.clone_from(&ahead.cuts);
            self.ahead = ahead;
        }
    }

    /// How far rows were sent, whenever that was.
    pub(crate) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// Notes how far rows are sent, before they are. Where that fails, only a crash that follows would show it, and the
    /// positions, which are kept in the same place, tell of it.
    pub(crate) fn note_ahead(&mut self, store: &Store) {
        if !std::mem::replace(&mut self.is_noted, true)
            && let Err(error) = store.note_ahead(self.checkpoint.file_id, &self.ahead)
        {
            tracing::debug!(%error, "how far rows are sent cannot be noted");
        }
    }

    /// Maps every record whose end is at hand; with `finish` the end of the buffer is a line end too.
    pub(crate) fn take(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64, chunk: &mut Chunk) {
        let before = self.checkpoint.reached;
        self.has_open_quote = false;
        while let Some(message) = self.next(buffer, finish, written_us) {
            chunk.messages.push(message);
        }
        if self.overlong.is_none() {
            self.checkpoint.reached.offset = buffer.offset();
            self.checkpoint.reached.tail_hash = buffer.tail_hash();
        }
        let reached = self.checkpoint.reached;
        if reached == before {
            return;
        }
        self.announced = None;
        self.pin();
        if finish && (reached.unterminated || self.has_open_quote) && reached.offset > self.ahead.reached.offset {
            self.checkpoint.cuts.push(reached.offset);
        }
        if reached.offset > self.ahead.reached.offset {
            self.ahead = Ahead::of(&self.checkpoint);
            self.is_noted = false;
        }
        chunk.marks.push(self.checkpoint.clone());
    }

    /// Sends the account of what was read so far.
    pub(crate) fn announce(&mut self, state: FileState, clock: Clock, chunk: &mut Chunk) {
        // By the clock, so that it rises also when a crash has lost the last one.
        let revision = clock.micros();
        chunk.messages.push(account::message(&self.checkpoint, self.mapper.mapping(), state, revision));
        if state == FileState::Finished {
            self.announced = Some(Account { revision, rows_read: self.checkpoint.reached.row });
            self.tell_rejected();
        }
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

    /// The next record whose end is at hand, as a message.
    pub(crate) fn next(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        if self.overlong.is_some() {
            return self.end_overlong(buffer, finish, written_us);
        }
        if self.checkpoint.reached.unterminated {
            return self.after_unterminated(buffer, finish, written_us);
        }
        // A comment whose end has not come is no row, and is left alone.
        let (rest, _) = self.at_hand(buffer, finish);
        let skipped = self.splitter.skip(rest, rest.len() < buffer.rest().len())?;
        buffer.advance(skipped);
        let (rest, at_end) = self.at_hand(buffer, finish);
        if rest.is_empty() {
            return None;
        }
        let is_short = rest.len() <= self.max_record;
        match self.splitter.split(rest, at_end, &mut self.fields) {
            Split::Record { end, next } if end <= self.max_record => {
                let position = self.position(buffer.offset(), next, written_us);
                let message = self.mapper.map(&rest[..end], &self.fields, position);
                self.checkpoint.reached.unterminated = end == next;
                buffer.advance(next);
                Some(self.count(message))
            }
            Split::Partial | Split::OpenQuote if is_short && !at_end => None,
            split => {
                self.has_open_quote |= is_short && split == Split::OpenQuote;
                self.line(buffer, finish, written_us)
            }
        }
    }

    /// What may be split, and whether its end counts as a line end. It goes as far as the next place where that was so
    /// before.
    fn at_hand<'a>(&self, buffer: &'a Buffer, finish: bool) -> (&'a [u8], bool) {
        let (rest, offset) = (buffer.rest(), buffer.offset());
        let length = |cut| usize::try_from(cut - offset).ok();
        let before_cut = self.checkpoint.next_cut(offset).and_then(length).and_then(|length| rest.get(..length));
        before_cut.map_or((rest, finish), |rest| (rest, true))
    }

    /// Rejects one physical line, so that what is wrong with it does not swallow the lines after it.
    fn line(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, at_end) = self.at_hand(buffer, finish);
        let next = memchr(b'\n', rest).map(|end| end + 1).or_else(|| at_end.then_some(rest.len()));
        let Some(next) = next.filter(|next| *next <= self.max_record) else {
            self.overlong = Some(Overlong::new(buffer.offset(), self.max_record));
            // The position stays before the line while its end is not there; the rows of this turn are before it.
            self.checkpoint.reached.offset = buffer.offset();
            self.checkpoint.reached.tail_hash = buffer.tail_hash();
            return self.end_overlong(buffer, finish, written_us);
        };
        let position = self.position(buffer.offset(), next, written_us);
        let (raw, ended) = without_line_end(&rest[..next]);
        self.checkpoint.reached.unterminated = !ended;
        let message = format!("the record is longer than {} bytes, or a quote is never closed", self.max_record);
        let message = self.mapper.refuse(raw, position, Reason::RecordTooLong, message);
        buffer.advance(next);
        Some(self.count(message))
    }

    fn end_overlong(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, at_end) = self.at_hand(buffer, finish);
        let end = memchr(b'\n', rest);
        if let Some(line) = &mut self.overlong {
            line.add(&rest[..end.unwrap_or(rest.len())]);
        }
        let passed = end.map_or(rest.len(), |end| end + 1);
        buffer.advance(passed);
        if end.is_none() && !at_end {
            return None;
        }
        let line = self.overlong.take()?;
        let mut position = self.position(line.start, 0, written_us);
        position.byte_end = buffer.offset();
        self.checkpoint.reached.unterminated = end.is_none();
        let message = format!("the line is longer than {} bytes", self.max_record);
        let (head, whole) = line.end();
        let message = self.mapper.refuse_beginning(&head, whole, position, Reason::RecordTooLong, message);
        Some(self.count(message))
    }

    /// The last record was taken without its line end. When that comes, all is well; when more of the line comes, the
    /// record was taken too early, and the rest of the line cannot be a row. Of a rest without end each piece is one.
    fn after_unterminated(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, at_end) = self.at_hand(buffer, finish);
        let near = &rest[..rest.len().min(self.max_record)];
        let next = match memchr(b'\n', near) {
            Some(end) => end + 1,
            None if near.is_empty() || near == b"\r" => return None,
            None if at_end || near.len() == self.max_record => near.len(),
            None => return None,
        };
        let position = self.position(buffer.offset(), next, written_us);
        let (line, ended) = without_line_end(&near[..next]);
        let message = (!line.is_empty()).then(|| {
            let message =
                "the line before was taken as finished, since nothing followed for finish_after".to_owned();
            self.mapper.refuse(line, position, Reason::LineContinued, message)
        });
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

/// The line, and whether it had an end.
fn without_line_end(line: &[u8]) -> (&[u8], bool) {
    match line.strip_suffix(b"\n") {
        Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), true),
        None => (line, false),
    }
}
