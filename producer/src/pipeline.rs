//! Wires the stages: tail -> map -> publish -> checkpoint, and back from the consumer: closed -> archive.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use common::config::{Config, OnClose};
use common::health::Pulse;
use common::nats::{self, Nats};
use common::stream::{self, Incarnation, until_ready};
use common::{Clock, Outage, Shutdown, fault};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::checkpoint::{self, Store};
use crate::map::{MappingRules, MaxPayload};
use crate::progress::Progress;
use crate::publish::{self, Publisher};
use crate::tail::{self, Context, Outcome};
use crate::{archive, closed, lock, purge, rebuild, stream_loss, unread};

/// Chunks on their way from reading to publishing.
const CHUNKS: usize = 4;
const TAILER_MESSAGES: usize = 1024;

/// How many polls of the landing directory there are for each check whether consumers have read everything.
const UNREAD_CHECK_POLLS: u32 = 5;

/// How long positions may stay unwritten.
const FLUSH: Duration = Duration::from_mins(1);

/// The longest read of the tailer: to resume a large compressed file, it reads all of it up to its position.
const LONGEST_READ: Duration = Duration::from_mins(10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Nats(#[from] nats::Error),
    #[error(transparent)]
    Stream(#[from] stream::Error),
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
    #[error(transparent)]
    Tail(#[from] tail::Error),
    #[error(transparent)]
    Publish(#[from] publish::Error),
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
    let checkpoint_dir = config.checkpoint_dir();
    let landing_lock = lock::take(landing).await?;
    if config.tail.on_close != OnClose::Keep {
        lock::check_writable(landing)?;
    }
    let _locks = (landing_lock, lock::take(&checkpoint_dir).await?);
    let ended = Box::pin(tail_alone(config, landing, progress, ending, shutdown)).await;
    if let Err(
        Error::Checkpoint(checkpoint::Error::Damaged { what, .. })
        | Error::Tail(tail::Error::Checkpoint(checkpoint::Error::Damaged { what, .. })),
    ) = &ended
    {
        // The next start makes a new one.
        checkpoint::set_aside(&checkpoint_dir, what)?;
    }
    ended
}

/// Tails `landing`, which is locked.
async fn tail_alone(
    config: &Config,
    landing: &Path,
    progress: Arc<Progress>,
    ending: CancellationToken,
    shutdown: Shutdown,
) -> Result<Outcome, Error> {
    let is_set_up = progress.health().need("stream");
    let checkpoint_dir = config.checkpoint_dir();
    let store = Arc::new(Store::open(&checkpoint_dir)?);
    archive::recover(&store)?;
    let nats = nats::connect_as(&config.nats, nats::User::Producer, "millrace producer", &shutdown).await?;
    let connection = nats.clone();
    progress.health().require("nats", move || connection.is_connected());
    let (events, incarnation) = set_up(&nats, config, &shutdown).await?;
    if store.is_to_be_recovered() {
        rebuild::rebuild(&store, &events, config).await?;
    }
    if let Some(then) = store.latest_in_stream()?
        && stream_loss::is_lost(&events, incarnation, &then).await
    {
        let files = stream_loss::rewind(&store)?;
        tracing::warn!(
            files,
            last_acknowledged = then.last_sequence,
            last_kept = incarnation.last_sequence,
            made_again = incarnation.created != then.created,
            "stream lost data, publishing again what is not closed"
        );
    }

    is_set_up.set(true);
    let health = progress.health().clone();
    health.limit(config.health.stall_after);
    let (to_tailer, inbox) = mpsc::channel(TAILER_MESSAGES);
    let (to_publisher, chunks) = mpsc::channel(CHUNKS);

    // Tail and map: on one thread, each row is mapped as it is read.
    let pulse = health.pulse("tail", config.tail.poll + LONGEST_READ);
    let mapping_rules = MappingRules::new(config, MaxPayload::Of(nats.client.clone()));
    let context =
        Context { config: config.clone(), store: store.clone(), clock: Clock::System, mapping_rules };

    // Publish.
    let publisher =
        Publisher::new(nats.clone(), config.clone(), store.clone(), progress, to_tailer.clone(), incarnation)
            .await?;
    // An error of another task ends the tailer.
    let part = shutdown.child();
    let mut publishing = JoinSet::new();
    publishing.spawn(publisher.run(chunks, part.clone()));

    // Checkpoint, and what comes back from the consumer.
    let mut aids = JoinSet::new();
    aids.spawn(closed::watch(nats.clone(), store.clone(), to_tailer.clone()));
    let interval = config.tail.poll * UNREAD_CHECK_POLLS;
    aids.spawn(unread::watch(nats.clone(), interval, to_tailer.clone()));
    aids.spawn(purge::run(nats, events, config.stream.clone()));
    let flushing = health.pulse("checkpoint", FLUSH);
    aids.spawn(keep_flushing(store.clone(), config.tail.checkpoint_every, flushing));
    let _watch = health.watch();

    let (landing, of_tailer) = (landing.to_owned(), part.clone());
    let mut tailing = tokio::task::spawn_blocking(move || {
        tail::run(context, &landing, (to_tailer, inbox), to_publisher, ending, pulse, &of_tailer)
    });
    let ended = tokio::select! {
        outcome = &mut tailing => Ok(outcome?),
        error = failure(&mut publishing, &mut aids) => {
            part.stop();
            // Its error would only be a consequence.
            let _ = tailing.await;
            Err(error)
        }
    };
    if let Some(published) = publishing.join_next().await {
        published??;
    }
    aids.shutdown().await;
    store.end()?;
    Ok(ended??)
}

/// The first error of a task beside the tailer.
async fn failure(publishing: &mut JoinSet<Result<(), publish::Error>>, aids: &mut JoinSet<()>) -> Error {
    loop {
        tokio::select! {
            Some(published) = publishing.join_next() => match published {
                // The tailer has ended.
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.into(),
                Err(panic) => return panic.into(),
            },
            Some(Err(panic)) = aids.join_next() => return panic.into(),
            else => std::future::pending().await,
        }
    }
}

/// Makes stream and bucket if they are missing, as soon as the broker is ready. `closed` makes the bucket again if the
/// broker loses it later.
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

/// Writes positions to disk every `tail.checkpoint_every`, so that the publisher does not wait for the disk.
async fn keep_flushing(store: Arc<Store>, every: Duration, pulse: Pulse) {
    let mut is_logged = false;
    loop {
        tokio::time::sleep(every).await;
        fault::point("flush");
        pulse.work();
        let store = store.clone();
        let flushed = tokio::task::spawn_blocking(move || {
            fault::hang_thread("checkpoint");
            store.flush()
        });
        match flushed.await {
            Ok(Ok(())) => {
                is_logged = false;
                pulse.rest();
            }
            Ok(Err(error)) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::error!(%error, "positions cannot be written; after a crash more rows are sent again");
                }
            }
            Err(ended) => {
                if let Ok(panic) = ended.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}
