//! Group commit: [`Delivery`]s enter a bounded queue, [`Batch`]es leave it.
//!
//! A writer that is free takes whatever is queued at once; while all writers are busy the queue grows, up to a number
//! of rows and of bytes, and then nothing more is pulled. Idle means batches of one row within a millisecond. Where a
//! writer finds many rows it waits a few milliseconds for more: a full batch costs less a row than two half ones.

mod queue;

use std::collections::BTreeMap;

use common::stream::StreamPosition;
use common::wire::FileMessage;
use common::{FileId, Origin};
use ledger::batch_id::BatchId;

use crate::decode::{Corrupt, Decoded, Delivery, Row};
use crate::fetch::Reply;
use queue::Held;
pub(crate) use queue::{Batches, Queue, queue};

/// A row that takes the place of a rejected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    /// The row that was rejected.
    pub(crate) rejected: Origin,
    /// The row that was made from it.
    pub(crate) by: Origin,
}

/// What one transaction will hold.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    /// Sorted by event id, so that replicas which bring the same keys wait for each other in one order.
    pub(crate) rows: Vec<Row>,
    pub(crate) corrupt: Vec<Corrupt>,
    /// Rejected rows that others take the place of, whatever becomes of those.
    pub(crate) replacements: Vec<Replacement>,
    /// The newest totals of each file.
    pub(crate) totals: BTreeMap<FileId, FileMessage>,
    /// How many messages it was made of.
    pub(crate) messages: usize,
    /// Where to acknowledge the messages of the stream's latest incarnation.
    pub(crate) replies: Vec<Reply>,
    /// The first and the last message, of the stream's latest incarnation where there are two.
    pub(crate) first: StreamPosition,
    pub(crate) last: StreamPosition,
    /// When the first message was taken off the stream, in microseconds since 1970.
    pub(crate) fetched_us: i64,
    /// The memory that it takes; free for others when the batch is dropped.
    _held: Held,
}

impl Batch {
    /// A batch that comes from no queue.
    pub(crate) fn alone(id: BatchId, deliveries: Vec<Delivery>) -> Self {
        Self::of(id, deliveries, Held::nothing())
    }

    fn of(id: BatchId, deliveries: Vec<Delivery>, held: Held) -> Self {
        let last = deliveries.iter().map(|delivery| delivery.position).max();
        let mut batch = Self {
            id,
            rows: Vec::with_capacity(deliveries.len()),
            corrupt: Vec::new(),
            replacements: Vec::new(),
            totals: BTreeMap::new(),
            messages: deliveries.len(),
            replies: Vec::with_capacity(deliveries.len()),
            first: last.unwrap_or_default(),
            last: last.unwrap_or_default(),
            fetched_us: i64::MAX,
            _held: held,
        };
        for Delivery { position, reply, fetched_us, decoded } in deliveries {
            batch.fetched_us = batch.fetched_us.min(fetched_us);
            if position.stream_created == batch.last.stream_created {
                // One of an earlier incarnation would acknowledge another message.
                batch.replies.extend(reply);
                batch.first = batch.first.min(position);
            }
            match decoded {
                Decoded::Event(row) => {
                    let rejected = row.replaces.as_deref().copied();
                    batch
                        .replacements
                        .extend(rejected.map(|rejected| Replacement { rejected, by: row.origin }));
                    batch.rows.push(row);
                }
                Decoded::Corrupt(record) => {
                    let both = record.replaces.zip(record.origin);
                    batch.replacements.extend(both.map(|(rejected, by)| Replacement { rejected, by }));
                    batch.corrupt.push(*record);
                }
                Decoded::Totals(totals) => batch.take_totals(*totals),
            }
        }
        batch.rows.sort_unstable_by_key(|row| (row.event_id, row.origin));
        batch
    }

    fn take_totals(&mut self, totals: FileMessage) {
        let earlier = self.totals.get(&totals.file_id).map(|earlier| earlier.revision);
        if earlier.is_none_or(|earlier| earlier <= totals.revision) {
            self.totals.insert(totals.file_id, totals);
        }
    }
}

#[cfg(test)]
mod tests;
