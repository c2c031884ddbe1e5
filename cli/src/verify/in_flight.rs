//! Messages that are between the files and the tables, as the broker reports them.

use std::time::Duration;

use anyhow::Context;
use common::config::Config;
use common::stream::{self, Status};
use common::{Shutdown, nats};
use tokio::time::{Instant, sleep, timeout};

/// How long the broker may take to answer, and consumers to commit what they were given.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// Messages that are in the stream and in no table yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages {
    pub(super) status: Status,
    /// Whether everything that was in the stream at first is committed.
    pub(super) is_settled: bool,
}

/// Asks the broker. With `wait`, consumers get a moment to commit what is in the stream now.
pub(super) async fn look(config: &Config, wait: bool, shutdown: &Shutdown) -> anyhow::Result<Messages> {
    let first = async {
        let nats = nats::connect(&config.nats, "millrace verify", shutdown).await?;
        // Where there is no stream, nothing can be in it.
        let status = stream::status(&nats.jetstream).await?.unwrap_or_default();
        anyhow::Ok((nats, status))
    };
    let (nats, mut status) = timeout(PATIENCE, first).await.context("nats-server does not answer")??;
    let began = Instant::now();
    let last = status.incarnation.last_sequence;
    loop {
        let is_settled = status.acknowledged().sequence >= last || status.unread() == 0;
        if is_settled || !wait || began.elapsed() > PATIENCE {
            return Ok(Messages { status, is_settled });
        }
        sleep(PAUSE).await;
        status = stream::status(&nats.jetstream).await?.unwrap_or_default();
    }
}
