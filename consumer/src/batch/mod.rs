//! Group commit: [`Delivery`]s enter a bounded queue, [`Batch`]es leave it.
//!
//! A writer that is free takes whatever is queued at once; while all writers are busy the queue grows, up to a number
//! of rows and of bytes, and then nothing more is pulled. Idle means batches of one row within a millisecond. Where a
//! writer finds many rows it waits a few milliseconds for more: a full batch costs less a row than two half ones.

mod queue;

use std::collections::BTreeMap;

use common::FileId;
use common::wire::FileMessage;

use crate::decode::{Corrupt, Delivery, Fate, Row};
use crate::fetch::{Position, Reply};
use queue::Held;
pub(crate) use queue::{Batches, Queue, queue};

/// A batch's key in `batches`, unique for ever and fixed before the first attempt to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchId(pub(crate) i64);

/// What one transaction will hold.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    /// Sorted by event id, so that replicas which bring the same keys wait for each other in one order.
    pub(crate) rows: Vec<Row>,
    pub(crate) corrupt: Vec<Corrupt>,
    /// The newest of each file.
    pub(crate) accounts: BTreeMap<FileId, FileMessage>,
    pub(crate) replies: Vec<Reply>,
    /// The first message and the last, of the stream's latest life where there are two.
    pub(crate) first: Position,
    pub(crate) last: Position,
    /// When the first message was taken off the stream, in microseconds since 1970.
    pub(crate) fetched_us: i64,
    /// The memory that it takes; free for others when the batch is dropped.
    _held: Held,
}

impl Batch {
    fn of(id: BatchId, deliveries: Vec<Delivery>, held: Held) -> Self {
        let last = deliveries.iter().map(|delivery| delivery.position).max();
        let mut batch = Self {
            id,
            rows: Vec::with_capacity(deliveries.len()),
            corrupt: Vec::new(),
            accounts: BTreeMap::new(),
            replies: Vec::with_capacity(deliveries.len()),
            first: last.unwrap_or_default(),
            last: last.unwrap_or_default(),
            fetched_us: i64::MAX,
            _held: held,
        };
        for Delivery { position, reply, fetched_us, fate } in deliveries {
            batch.replies.push(reply);
            batch.fetched_us = batch.fetched_us.min(fetched_us);
            if position.stream_created == batch.last.stream_created {
                batch.first = batch.first.min(position);
            }
            match fate {
                Fate::Event(row) => batch.rows.push(row),
                Fate::Corrupt(record) => batch.corrupt.push(*record),
                Fate::Account(account) => batch.take_account(*account),
            }
        }
        batch.rows.sort_unstable_by_key(|row| (row.event_id, row.origin));
        batch
    }

    fn take_account(&mut self, account: FileMessage) {
        let known = self.accounts.get(&account.file_id).map(|known| known.revision);
        if known.is_none_or(|known| known <= account.revision) {
            self.accounts.insert(account.file_id, account);
        }
    }
}

#[cfg(test)]
mod tests;
