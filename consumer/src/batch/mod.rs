//! Group commit without a timer: [`Delivery`]s enter a bounded queue, [`Batch`]es leave it.
//!
//! A writer that is free takes whatever is queued at once; while all writers are busy the queue grows, up to a number
//! of rows and of bytes, and then nothing more is pulled. Idle means batches of one row within a millisecond, load
//! means full ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::wire::FileMessage;
use common::{FileId, Shutdown, config};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::Instant;

use crate::decode::{Corrupt, Delivery, Fate, Row};
use crate::fetch::{Position, Reply};

/// What a delivery takes beside its texts.
const OVERHEAD: usize = 256;
/// Ids of one run; the next run's begin behind them.
const IDS: i64 = 1_000_000_000;

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

/// Makes both ends of the queue, for so many writers in the run of this number.
pub(crate) fn queue(config: &config::Batch, writers: usize, run: i64) -> (Queue, Batches) {
    let (sender, receiver) = mpsc::channel(config.rows);
    // Each writer's batch, and one that waits.
    let bytes = config.bytes.saturating_mul(writers + 1).min(Semaphore::MAX_PERMITS);
    let budget = Arc::new(Semaphore::new(bytes));
    let queue = Queue { sender, budget: Arc::clone(&budget), largest: config.bytes };
    let batches = Batches {
        receiver: Arc::new(Mutex::new(receiver)),
        budget,
        limits: config.clone(),
        next_id: Arc::new(AtomicI64::new(run * IDS)),
    };
    (queue, batches)
}

/// Where deliveries enter.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Delivery>,
    budget: Arc<Semaphore>,
    largest: usize,
}

impl Queue {
    /// Waits for room. `false` when nobody takes batches any more.
    pub(crate) async fn put(&self, delivery: Delivery) -> bool {
        let bytes = u32::try_from(weight(&delivery, self.largest)).unwrap_or(u32::MAX);
        let Ok(permits) = self.budget.acquire_many(bytes).await else { return false };
        // The batch gives them back.
        permits.forget();
        self.sender.send(delivery).await.is_ok()
    }
}

/// Where writers take batches; each has a clone.
#[derive(Clone, Debug)]
pub(crate) struct Batches {
    receiver: Arc<Mutex<mpsc::Receiver<Delivery>>>,
    budget: Arc<Semaphore>,
    limits: config::Batch,
    next_id: Arc<AtomicI64>,
}

impl Batches {
    /// What is queued, as soon as there is something; `None` when nothing will come any more.
    pub(crate) async fn next(&self, shutdown: &Shutdown) -> Option<Batch> {
        let mut receiver = self.receiver.lock().await;
        let mut taken = Taken::new(&self.limits, receiver.recv().await?);
        taken.queued(&mut receiver);
        if let Some(linger) = self.limits.linger {
            taken.linger(&mut receiver, linger, shutdown).await;
        }
        drop(receiver);
        let id = BatchId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let held = Held { budget: Arc::clone(&self.budget), bytes: taken.bytes };
        Some(Batch::of(id, taken.deliveries, held))
    }
}

/// A batch in the making.
struct Taken<'a> {
    limits: &'a config::Batch,
    deliveries: Vec<Delivery>,
    bytes: usize,
}

impl<'a> Taken<'a> {
    fn new(limits: &'a config::Batch, first: Delivery) -> Self {
        let bytes = weight(&first, limits.bytes);
        Self { limits, deliveries: vec![first], bytes }
    }

    fn is_full(&self) -> bool {
        self.deliveries.len() >= self.limits.rows || self.bytes >= self.limits.bytes
    }

    fn add(&mut self, delivery: Delivery) {
        self.bytes += weight(&delivery, self.limits.bytes);
        self.deliveries.push(delivery);
    }

    fn queued(&mut self, receiver: &mut mpsc::Receiver<Delivery>) {
        while !self.is_full() {
            let Ok(delivery) = receiver.try_recv() else { return };
            self.add(delivery);
        }
    }

    async fn linger(
        &mut self,
        receiver: &mut mpsc::Receiver<Delivery>,
        linger: Duration,
        shutdown: &Shutdown,
    ) {
        let until = Instant::now() + linger;
        while !self.is_full() {
            tokio::select! {
                delivery = receiver.recv() => match delivery {
                    Some(delivery) => self.add(delivery),
                    None => return,
                },
                () = tokio::time::sleep_until(until) => return,
                () = shutdown.draining() => return self.queued(receiver),
            }
        }
    }
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

/// Bytes of the budget; returned when dropped.
#[derive(Debug)]
struct Held {
    budget: Arc<Semaphore>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.add_permits(self.bytes);
    }
}

/// What a delivery takes of the budget; one that is larger than a whole batch counts as a whole batch.
fn weight(delivery: &Delivery, largest: usize) -> usize {
    let bytes = match &delivery.fate {
        Fate::Event(row) => row.line.len(),
        Fate::Corrupt(record) => record.raw.len(),
        Fate::Account(account) => account.path.len(),
    };
    (OVERHEAD + bytes).min(largest)
}

#[cfg(test)]
mod tests;
