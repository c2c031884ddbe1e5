//! The queue between decoding and writing, bounded by rows and by bytes.

use std::sync::Arc;
use std::time::Duration;

use common::{Shutdown, config};
use ledger::batch_id::BatchIds;
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::Batch;
use crate::decode::{Decoded, Delivery};

/// So many rows in the queue are load: one transaction for more of them costs the server less than two for fewer.
const LOAD: usize = 100;
/// How long a batch then waits to fill.
const FILL: Duration = Duration::from_millis(25);

/// What a delivery takes beside its texts.
const OVERHEAD: usize = 256;

/// Makes both ends of the queue, for so many writers; batches get their ids from `ids`.
pub(crate) fn queue(config: &config::Batch, writers: usize, ids: BatchIds) -> (Queue, Batches) {
    let (sender, receiver) = mpsc::channel(config.rows);
    // Each writer's batch, and one that waits.
    let bytes = config.bytes.saturating_mul(writers + 1).min(Semaphore::MAX_PERMITS);
    let budget = Arc::new(Semaphore::new(bytes));
    let queue = Queue { sender, budget: Arc::clone(&budget), largest: config.bytes };
    let batches = Batches { receiver: Arc::new(Mutex::new(receiver)), budget, limits: config.clone(), ids };
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
    /// Waits for room. `false` when all writers have ended.
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
    ids: BatchIds,
}

impl Batches {
    /// What is queued, as soon as there is something; `None` at the end of the queue.
    pub(crate) async fn next(&self, shutdown: &Shutdown) -> Option<Batch> {
        let mut receiver = self.receiver.lock().await;
        let mut taken = Taken::new(&self.limits, receiver.recv().await?);
        taken.queued(&mut receiver);
        let load = (taken.deliveries.len() >= LOAD).then_some(FILL);
        if let Some(linger) = self.limits.linger.or(load) {
            taken.linger(&mut receiver, linger, shutdown).await;
        }
        drop(receiver);
        let id = self.ids.next();
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
        let over = tokio::time::sleep(linger);
        tokio::pin!(over);
        while !self.is_full() {
            tokio::select! {
                delivery = receiver.recv() => match delivery {
                    Some(delivery) => self.add(delivery),
                    None => return,
                },
                () = &mut over => return,
                () = shutdown.draining() => return self.queued(receiver),
            }
            self.queued(receiver);
        }
    }
}

/// Bytes of the budget; returned when dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Semaphore>,
    bytes: usize,
}

impl Held {
    /// Of a batch that comes from no queue.
    pub(super) fn nothing() -> Self {
        Self { budget: Arc::new(Semaphore::new(0)), bytes: 0 }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.add_permits(self.bytes);
    }
}

/// What a delivery takes of the budget; one that is larger than a whole batch counts as a whole batch.
fn weight(delivery: &Delivery, largest: usize) -> usize {
    let bytes = match &delivery.decoded {
        Decoded::Event(row) => row.line.capacity(),
        Decoded::Corrupt(record) => record.raw.len(),
        Decoded::Totals(totals) => totals.path.len(),
    };
    (OVERHEAD + bytes).min(largest)
}
