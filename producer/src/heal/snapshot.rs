//! Where files and stream stand: before the database is looked at, and while it catches up.

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

/// How often is looked whether replicas have committed what they hold.
const PAUSE: Duration = Duration::from_millis(100);
/// After so many looks at which nobody asked for messages and nothing moved, nobody is at work.
const IDLE: u32 = 5;
/// How often the stream's size is looked at, and the share of its limit above which there is no room.
const EVERY: Duration = Duration::from_secs(1);
const SHORT: f64 = 0.9;

/// What was so at one moment.
#[derive(Debug)]
pub struct Before {
    pub(super) taken: DateTime<Utc>,
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) events: Stream,
    pub(super) stream: Incarnation,
    /// Up to here consumers were given messages; what lies behind comes to them by itself.
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

/// Files come first: what is closed by then is in the tables, whatever happens meanwhile.
pub(super) async fn look(nats: &Nats, config: &Config, clock: Clock) -> Result<Before, Error> {
    let taken = clock.now();
    let mut checkpoints = checkpoints(config)?;
    checkpoints.sort_by(|a, b| a.path.cmp(&b.path));
    let (events, stream) = stream::open(&nats.jetstream, &config.stream).await?;
    let delivered = settled(&events, config.consumer.ack_wait).await?;
    Ok(Before { taken, checkpoints, events, stream, delivered })
}

/// How far consumers have come.
pub(super) async fn status(nats: &Nats) -> Result<Status, Error> {
    stream::status(&nats.jetstream).await?.ok_or(Error::Lost)
}

/// The files that were ever closed, as far as the bucket still says so.
pub(super) async fn closed(nats: &Nats) -> Result<Vec<FileId>, Error> {
    let bucket = stream::closed_bucket(&nats.jetstream).await?;
    let keys = bucket.keys().await.map_err(|error| Error::Look(error.into()))?;
    let keys: Vec<String> = keys.try_collect().await.map_err(|error| Error::Look(error.into()))?;
    Ok(keys.iter().filter_map(|key| key.parse::<i64>().ok()).map(FileId::from).collect())
}

/// Completes when there is hardly room in the stream.
pub(super) async fn short_of_room(nats: &Nats) -> Result<(), Error> {
    loop {
        tokio::time::sleep(EVERY).await;
        if status(nats).await?.fullness > SHORT {
            return Ok(());
        }
    }
}

/// How far messages were delivered. Replicas that are at work get the time to commit what they hold; rows that a dead
/// one holds are published again, which does no harm.
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
