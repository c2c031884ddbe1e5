//! A file that is read from its checkpoint on. What enters are rows, what leaves is a [`Chunk`].

use std::sync::Arc;

use common::printable::Printable;
use common::wire::FileState;

use crate::checkpoint::{Checkpoint, SentPosition, Store};
use crate::file::buffer::Buffer;
use crate::file::identity::FileStat;
use crate::file_reader::{FileReader, Row};
use crate::map::{Limits, Mapped, Mapping};
use crate::tail::totals;

/// Messages in the order of their rows, and the positions behind them.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Counts how often everything has been read again; chunks of an earlier generation are dropped.
    pub generation: u64,
    pub messages: Vec<Mapped>,
    /// What becomes the checkpoint of each file once all messages are acknowledged.
    pub marks: Vec<Checkpoint>,
}

impl Chunk {
    pub(crate) fn append(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.marks.extend(other.marks);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.marks.is_empty()
    }

    /// Of its messages.
    pub(crate) fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.payload.len()).sum()
    }
}

#[derive(Debug)]
pub(crate) struct Reading {
    pub checkpoint: Checkpoint,
    pub reader: FileReader,
    /// The final totals, if they were sent and nothing was read since.
    pub announced: Option<Totals>,
    /// After a crash or a loss it is behind the position of `reader`.
    sent: SentPosition,
    is_sent_noted: bool,
    /// The largest message that can be sent now, in bytes, and the row that is larger.
    sendable: usize,
    held: Option<TooLarge>,
    /// How many rejected rows were logged, and the first one since.
    rejected_before: i64,
    first_rejected: Option<String>,
}

/// A row whose message was within the limit of the file, and is larger than what the broker takes now. It must not be
/// rejected, since it may have been sent before, so it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "row {row} makes a message of {size} bytes; the broker's max_payload was {then} when the file was first read, and \
     is {now}: set it to at least {size}, and the file is read on"
)]
pub(crate) struct TooLarge {
    row: i64,
    size: usize,
    then: usize,
    now: usize,
}

/// The totals of a file that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub revision: i64,
    pub rows_read: i64,
    /// The file before its end was read. What has been written to it since may not have been read.
    pub file: FileStat,
}

impl Reading {
    /// Reads on at the position of `checkpoint`, where `buffer` is open. The limits are those that are pinned, or `now`.
    pub(crate) fn new(
        mut checkpoint: Checkpoint,
        mapping: &Arc<Mapping>,
        now: Limits,
        buffer: Buffer,
    ) -> Self {
        checkpoint.limits.get_or_insert(now);
        Self {
            reader: FileReader::new(checkpoint.row_format(mapping, now), checkpoint.reached, buffer),
            sent: SentPosition::of(&checkpoint),
            is_sent_noted: true,
            rejected_before: checkpoint.reached.rejected,
            first_rejected: None,
            announced: None,
            sendable: usize::MAX,
            held: None,
            checkpoint,
        }
    }

    /// To be called before the file is opened again, while the broker takes messages of `sendable` bytes. Fails while the
    /// next row is larger.
    pub(crate) fn resume(&mut self, sendable: usize) -> Result<(), TooLarge> {
        self.sendable = sendable;
        match self.held.take() {
            Some(held) if held.size > sendable => {
                let held = TooLarge { now: sendable, ..held };
                self.held = Some(held);
                Err(held)
            }
            _ => Ok(()),
        }
    }

    /// Begins again behind the header.
    pub(crate) fn rewind(&mut self) {
        self.checkpoint.rewind();
        self.reader.rewind(self.checkpoint.reached);
        self.announced = None;
        self.held = None;
        self.rejected_before = 0;
    }

    /// Adopts the position up to which rows were sent by an earlier process.
    pub(crate) fn resume_sent(&mut self, sent: SentPosition) {
        if sent.reached.offset > self.sent.reached.offset {
            self.checkpoint.forced_ends.clone_from(&sent.forced_ends);
            self.reader.forced_ends.clone_from(&sent.forced_ends);
            self.sent = sent;
        }
    }

    pub(crate) fn sent(&self) -> &SentPosition {
        &self.sent
    }

    /// To be called before the rows are sent.
    pub(crate) fn note_sent(&mut self, store: &Store) {
        if !std::mem::replace(&mut self.is_sent_noted, true) {
            store.note_sent(self.checkpoint.file_id, &self.sent);
        }
    }

    /// Adds every row that is complete to `chunk`; with `finish` the end of the bytes that were read is a line end too.
    /// Stops before a row that cannot be sent.
    pub(crate) fn take(&mut self, finish: bool, written_us: i64, chunk: &mut Chunk) -> Result<(), TooLarge> {
        self.reader.written_us = written_us;
        let taken = self.rows(finish, chunk);
        let reached = self.reader.position();
        if reached == self.checkpoint.reached {
            return taken;
        }
        self.checkpoint.reached = reached;
        self.announced = None;
        self.pin_time_form();
        if reached.offset > self.sent.reached.offset {
            if finish && self.reader.ends_within_line() {
                self.reader.forced_ends.push(reached.offset);
                self.checkpoint.forced_ends.push(reached.offset);
            }
            self.sent = SentPosition::of(&self.checkpoint);
            self.is_sent_noted = false;
        }
        chunk.marks.push(self.checkpoint.clone());
        taken
    }

    fn rows(&mut self, finish: bool, chunk: &mut Chunk) -> Result<(), TooLarge> {
        while let Some(Row { position, message }) = self.reader.next_at_hand(finish) {
            let size = message.payload.len();
            if size > self.sendable {
                self.reader.step_back();
                let then = self.checkpoint.limits.map_or(0, |limits| limits.max_payload);
                let held = TooLarge { row: position.row, size, then, now: self.sendable };
                self.held = Some(held);
                return Err(held);
            }
            if let Some((_, why)) = &message.rejected {
                self.first_rejected.get_or_insert_with(|| format!("row {}, {why}", position.row));
            }
            chunk.messages.push(message);
        }
        Ok(())
    }

    /// Adds the totals of what was read so far.
    pub(crate) fn announce(&mut self, state: FileState, revision: i64, chunk: &mut Chunk) {
        self.checkpoint.revision = revision;
        chunk.messages.push(totals::message(&self.checkpoint, self.reader.mapping(), state, revision));
    }

    /// Adds the final totals of a file that was read to its end. `file` is how it was before.
    pub(crate) fn announce_end(&mut self, file: FileStat, revision: i64, chunk: &mut Chunk) {
        self.announce(FileState::Finished, revision, chunk);
        self.announced = Some(Totals { revision, rows_read: self.checkpoint.reached.row, file });
        self.log_rejected();
    }

    /// Adds the final totals once more, as they were.
    pub(crate) fn announce_again(&self, chunk: &mut Chunk) {
        if let Some(Totals { revision, .. }) = self.announced {
            let (mapping, state) = (self.reader.mapping(), FileState::Finished);
            chunk.messages.push(totals::message(&self.checkpoint, mapping, state, revision));
        }
    }

    /// The first row settles the form of times, which has to be in the checkpoint.
    fn pin_time_form(&mut self) {
        let mapping = self.reader.mapping();
        let pinned =
            self.checkpoint.mapping.as_ref().is_some_and(|pinned| pinned.time_form == mapping.time_form);
        if !pinned {
            self.checkpoint.mapping = Some(Arc::new(mapping.clone()));
        }
    }

    fn log_rejected(&mut self) {
        let rejected = self.checkpoint.reached.rejected;
        if rejected > std::mem::replace(&mut self.rejected_before, rejected) {
            let file = Printable(self.checkpoint.path.display());
            let first = self.first_rejected.take().unwrap_or_default();
            tracing::warn!(%file, rejected, rows = self.checkpoint.reached.row, first, "has rejected rows");
        }
    }
}

#[cfg(test)]
mod tests;
