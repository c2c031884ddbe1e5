//! The rows of one file as messages. What enters is the buffer, what leaves is a [`Chunk`].

mod next;

use std::sync::Arc;

use common::Clock;
use common::wire::FileState;

use crate::checkpoint::{Ahead, Checkpoint, Store};
use crate::map::{Mapped, Mapper, Mapping};
use crate::tail::account;
use crate::tail::buffer::Buffer;
use crate::tail::overlong::Overlong;
use crate::tail::records::{Field, Splitter};

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
        if finish
            && (reached.unterminated || self.has_open_quote)
            && reached.offset > self.ahead.reached.offset
        {
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
}
