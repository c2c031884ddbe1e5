//! Where files and stream stand: before the database is looked at, and while it catches up.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;
use chrono::{DateTime, Utc};
use common::config::Config;
use common::nats::Nats;
use common::stream::{self, DURABLE, Incarnation};
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

/// How far consumers have come.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// When the stream was made.
    pub created: DateTime<Utc>,
    /// The sequence of the first message that it still has.
    pub first: u64,
    /// The sequence of its last message.
    pub last: u64,
    /// Everything up to this sequence is acknowledged.
    pub acknowledged: u64,
    /// Messages that are not.
    pub unread: u64,
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

/// Where consumers are now.
pub(super) async fn position(nats: &Nats) -> Result<Position, Error> {
    let events =
        nats.jetstream.get_stream(stream::STREAM).await.map_err(|error| Error::Look(error.into()))?;
    let state = &events.cached_info().state;
    let incarnation = stream::incarnation(events.cached_info());
    let durable = durable(&events).await?;
    let first = state.first_sequence;
    let unread =
        durable.as_ref().map_or(state.messages, |info| info.num_pending + info.num_ack_pending as u64);
    // The floor of a durable that has delivered nothing only says where the stream begins.
    let floor = durable.map(|info| info.ack_floor).filter(|floor| floor.consumer_sequence > 0);
    let acknowledged = floor.map_or(0, |floor| floor.stream_sequence);
    Ok(Position {
        created: incarnation.created,
        first,
        last: incarnation.last_sequence,
        acknowledged,
        unread,
    })
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
        let events =
            nats.jetstream.get_stream(stream::STREAM).await.map_err(|error| Error::Look(error.into()))?;
        let info = events.cached_info();
        if info.state.bytes as f64 > info.config.max_bytes as f64 * SHORT {
            return Ok(());
        }
    }
}

/// How far messages were delivered. Replicas that are at work get the time to commit what they hold; rows that a dead
/// one holds are published again, which does no harm.
async fn settled(events: &Stream, patience: Duration) -> Result<u64, Error> {
    let Some(Info { delivered, mut ack_floor, .. }) = durable(events).await? else { return Ok(0) };
    let (began, mut idle) = (Instant::now(), 0);
    while ack_floor.stream_sequence < delivered.stream_sequence && idle < IDLE && began.elapsed() < patience {
        tokio::time::sleep(PAUSE).await;
        let Some(now) = durable(events).await? else { return Ok(0) };
        let is_moving = now.num_waiting > 0 || now.ack_floor.stream_sequence > ack_floor.stream_sequence;
        idle = if is_moving { 0 } else { idle + 1 };
        ack_floor = now.ack_floor;
    }
    Ok(delivered.stream_sequence)
}

/// The consumers' durable, where it is there.
async fn durable(events: &Stream) -> Result<Option<Info>, Error> {
    match events.consumer_info(DURABLE).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Look(error.into())),
    }
}
