//! Makes the traffic of a shop: a seed and a clock enter, CSV files of events leave.
//!
//! `schedule` says when a file is due and how many rows it has, `files` makes it. Each row is the next step
//! of one of many sessions (`traffic`, `session`) of a visitor with a product (`visitor`, `catalogue`):
//! written as a record (`row`), or spoilt (`spoil`), or replaced by a copy of an earlier one (`recent`), at
//! the rates asked for.
//!
//! The same seed and start time write the same bytes under the same names, as long as a run is not cut short
//! by the clock and its directory starts empty.

mod catalogue;
mod dice;
mod files;
mod progress;
mod recent;
mod row;
mod schedule;
mod session;
mod spoil;
mod traffic;
mod visitor;

use std::path::Path;
use std::sync::Arc;

use common::config::Generate;
use common::{Clock, Shutdown};
use tokio::task::{JoinError, spawn_blocking};

use files::Files;
pub use progress::{Generated, Progress};
use schedule::Schedule;

use crate::land::{self, Landing};

/// Why no more files can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Land(#[from] land::Error),
    #[error("failed to finish a generated file")]
    Interrupted(#[source] JoinError),
}

/// Lands files in `out_dir` until a limit in `config` or `shutdown` ends it, after the file at hand.
///
/// Event times start at `config.start_time`, or else so that none is ahead of `clock` when its file lands: a
/// paced run starts at the time of `clock`, one without a pace as long before it as its rows take.
pub async fn run(
    config: &Generate,
    out_dir: &Path,
    seed: u64,
    clock: Clock,
    progress: Arc<Progress>,
    shutdown: Shutdown,
) -> Result<Generated, Error> {
    let mut schedule = Schedule::start(config, seed);
    let start = config.start_time.unwrap_or_else(|| clock.now() - schedule.lead());
    tracing::info!(seed, start_time = %start.to_rfc3339(), out_dir = %out_dir.display(), "generating");

    let mut files = blocking({
        let (config, out_dir) = (config.clone(), out_dir.to_owned());
        move || Ok(Files::new(&config, Landing::open(&out_dir)?, seed, start, progress))
    })
    .await?;
    while let Some(order) = schedule.next(&shutdown).await {
        files = blocking(move || files.land(order)).await?;
    }
    Ok(files.generated())
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, land::Error> + Send + 'static,
) -> Result<T, Error> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(Error::Interrupted(cancelled)),
        },
    }
}

#[cfg(test)]
mod tests;
