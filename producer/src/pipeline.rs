//! Wires the stages: tail -> map -> publish -> checkpoint, and back from the consumer: closed -> archive.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use common::config::{Config, OnClose};
use common::nats::{self, Nats};
use common::stream::{self, Incarnation};
use common::{Clock, Outage, Shutdown, until_ready};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, Store};
use crate::progress::Progress;
use crate::publish::{self, Publisher};
use crate::tail::{self, Context, Outcome};
use crate::{archive, closed, lock, loss, purge};

/// Chunks on their way from reading to publishing.
const CHUNKS: usize = 4;
/// Wake-ups that wait for the tailer.
const WAKES: usize = 1024;

/// The longest turn of the tailer: to go on in a large compressed file it reads all of it up to where it was.
const TURN: Duration = Duration::from_mins(10);

/// Why the tailer ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory cannot be had.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// The broker cannot be used.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// The stream cannot be used.
    #[error(transparent)]
    Stream(#[from] stream::Error),
    /// Positions cannot be kept.
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    /// Reading ended.
    #[error(transparent)]
    Tail(#[from] tail::Error),
    /// Publishing ended.
    #[error(transparent)]
    Publish(#[from] publish::Error),
    /// A stage panicked.
    #[error("a stage of the producer ended by a panic")]
    Panic(#[from] JoinError),
}

/// Tails `landing` until `shutdown` drains, or, once `ending` is cancelled, until every file that is there then is
/// closed by a consumer.
pub async fn tail(
    config: &Config,
    landing: &Path,
    progress: Arc<Progress>,
    ending: CancellationToken,
    shutdown: Shutdown,
) -> Result<Outcome, Error> {
    let is_set_up = progress.health().need("stream");
    let checkpoint_dir = config.checkpoint_dir();
    let landing_lock = lock::take(landing).await?;
    if config.tail.on_close != OnClose::Keep {
        lock::check_writable(landing)?;
    }
    let _locks = (landing_lock, lock::take(&checkpoint_dir).await?);
    let store = Arc::new(Store::open(&checkpoint_dir)?);
    archive::end_moves(&store)?;
    let nats = nats::connect(&config.nats, "millrace producer", &shutdown).await?;
    let connection = nats.clone();
    progress.health().require("nats", move || connection.is_connected());
    let (events, incarnation) = set_up(&nats, config, &shutdown).await?;
    let context = Context {
        config: config.clone(),
        store: store.clone(),
        clock: Clock::System,
        max_payload: nats.client.server_info().max_payload,
    };
    let positions = store.select(|checkpoint| !checkpoint.state.is_closed()).into_iter();
    let latest = positions
        .filter_map(|checkpoint| checkpoint.stream)
        .max_by_key(|then| (then.created, then.last_sequence));
    if let Some(then) = latest
        && loss::is_lost(&events, incarnation, &then).await
    {
        let files = loss::rewind(&store)?;
        tracing::warn!(
            files,
            last_acknowledged = then.last_sequence,
            last_kept = incarnation.last_sequence,
            made_again = incarnation.created != then.created,
            "stream lost data, publishing again what is not closed"
        );
    }

    is_set_up.set(true);
    let pulse = progress.health().pulse("tail", config.tail.poll + TURN);
    let (wakes, inbox) = mpsc::channel(WAKES);
    let (to_publisher, chunks) = mpsc::channel(CHUNKS);
    let publisher =
        Publisher::new(nats.clone(), config.clone(), store.clone(), progress, wakes.clone(), incarnation)
            .await?;
    let mut stages = JoinSet::new();
    stages.spawn(publisher.run(chunks, shutdown.clone()));
    let mut aids = JoinSet::new();
    aids.spawn(closed::watch(nats.clone(), wakes.clone()));
    aids.spawn(purge::run(nats, events, config.stream.clone()));
    aids.spawn(keep_flushing(store.clone(), config.tail.checkpoint_every));

    let landing = landing.to_owned();
    let outcome = tokio::task::spawn_blocking(move || {
        tail::run(context, &landing, (wakes, inbox), to_publisher, ending, pulse, &shutdown)
    })
    .await?;
    let acknowledged = stages.join_next().await;
    aids.shutdown().await;
    store.flush()?;
    if let Some(ended) = acknowledged {
        ended??;
    }
    Ok(outcome?)
}

/// Makes stream and bucket where they are missing, as soon as the broker is ready. `closed` makes the bucket again
/// where the broker loses it later.
async fn set_up(
    nats: &Nats,
    config: &Config,
    shutdown: &Shutdown,
) -> Result<(Stream, Incarnation), stream::Error> {
    let make = || async {
        let made = stream::ensure(&nats.jetstream, &config.stream).await?;
        stream::closed_bucket(&nats.jetstream).await?;
        Ok(made)
    };
    until_ready(nats, &Outage::new("the stream"), shutdown, make).await
}

/// Writes positions to disk now and then, off the publisher's path.
async fn keep_flushing(store: Arc<Store>, every: Duration) {
    let mut told = false;
    loop {
        tokio::time::sleep(every).await;
        let store = store.clone();
        match tokio::task::spawn_blocking(move || store.flush()).await {
            Ok(Err(error)) if !std::mem::replace(&mut told, true) => {
                tracing::error!(%error, "positions cannot be written; after a crash more rows are sent again");
            }
            Ok(Ok(())) => told = false,
            _ => {}
        }
    }
}
