//! The state of files and stream, before the database is read, and while it catches up.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Stream;
use chrono::{DateTime, Utc};
use common::config::Config;
use common::nats::Nats;
use common::stream::{self, Durable, Incarnation, Status};
use common::{Clock, FileId};
use futures::TryStreamExt as _;

use super::Error;
use crate::checkpoint::{Checkpoint, Reader};

/// How often to check whether replicas have committed what was delivered to them.
const PAUSE: Duration = Duration::from_millis(100);
/// After so many checks without a request or an acknowledgement, no replica is running.
const IDLE: u32 = 5;
/// How often the stream's size is checked, and the share of its limit above which there is no room.
const EVERY: Duration = Duration::from_secs(1);
const SHORT: f64 = 0.9;

#[derive(Debug)]
pub struct Snapshot {
    pub(super) taken: DateTime<Utc>,
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) events: Stream,
    pub(super) stream: Incarnation,
    /// The last sequence that was delivered to consumers. Later messages still will be.
    pub(super) delivered: u64,
}

/// The files that have a checkpoint now.
pub(super) fn files(config: &Config) -> Result<Vec<FileId>, Error> {
    Ok(checkpoints(config)?.into_iter().map(|checkpoint| checkpoint.file_id).collect())
}

fn checkpoints(config: &Config) -> Result<Vec<Checkpoint>, Error> {
    let reader = Reader::open(&config.checkpoint_dir())?;
    Ok(reader.map(|reader| reader.rows().all()).transpose()?.unwrap_or_default())
}

/// Checkpoints are read first: the rows of files that are closed by then are in the tables.
pub(super) async fn take(nats: &Nats, config: &Config, clock: Clock) -> Result<Snapshot, Error> {
    let taken = clock.now();
    let mut checkpoints = checkpoints(config)?;
    checkpoints.sort_by(|a, b| a.path.cmp(&b.path));
    let (events, stream) = stream::open(&nats.jetstream, &config.stream).await?;
    let delivered = settled(&events, config.consumer.ack_wait).await?;
    Ok(Snapshot { taken, checkpoints, events, stream, delivered })
}

/// How far consumers have come.
pub(super) async fn status(nats: &Nats) -> Result<Status, Error> {
    stream::status(&nats.jetstream).await?.ok_or(Error::Lost)
}

/// The files that were closed, as far as the bucket still has them.
pub(super) async fn closed(nats: &Nats) -> Result<Vec<FileId>, Error> {
    let bucket = stream::closed_bucket(&nats.jetstream).await?;
    let keys = bucket.keys().await.map_err(|error| Error::Inspect(error.into()))?;
    let keys: Vec<String> = keys.try_collect().await.map_err(|error| Error::Inspect(error.into()))?;
    Ok(keys.iter().filter_map(|key| key.parse::<i64>().ok()).map(FileId::from).collect())
}

/// Completes when the stream is almost full.
pub(super) async fn short_of_room(nats: &Nats) -> Result<(), Error> {
    loop {
        tokio::time::sleep(EVERY).await;
        if status(nats).await?.fullness > SHORT {
            return Ok(());
        }
    }
}

/// The last sequence that was delivered. Running replicas get the time to commit what was delivered to them. Rows that were
/// delivered to a dead one are published again, which is harmless.
async fn settled(events: &Stream, patience: Duration) -> Result<u64, Error> {
    let Some(Durable { delivered, mut floor, .. }) = stream::durable(events).await? else { return Ok(0) };
    let (began, mut idle) = (Instant::now(), 0);
    while floor < delivered && idle < IDLE && began.elapsed() < patience {
        tokio::time::sleep(PAUSE).await;
        let Some(now) = stream::durable(events).await? else { return Ok(0) };
        let is_moving = now.requests > 0 || now.floor > floor;
        idle = if is_moving { 0 } else { idle + 1 };
        floor = now.floor;
    }
    Ok(delivered)
}
