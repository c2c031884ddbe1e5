//! A consumer of our own, which puts into the tables what was published.

use std::sync::Arc;
use std::time::Duration;

use common::Shutdown;
use common::config::Config;
use consumer::Counts;
use futures::future::OptionFuture;
use ledger::repair::REPLICA;
use ledger::rollback::OnRollback;
use tokio_util::task::AbortOnDropHandle;

use crate::live::Line;

/// How often is looked whether everything is in the tables.
const EVERY: Duration = Duration::from_millis(100);

/// A replica in this process, from when it is needed.
#[derive(Debug)]
pub(super) struct Replica {
    config: Config,
    /// Ours to drain: a signal must not end it before what was published is read.
    shutdown: Shutdown,
    running: Option<AbortOnDropHandle<Result<Counts, consumer::Error>>>,
}

impl Replica {
    pub(super) fn new(config: &Config) -> Self {
        let mut config = config.clone();
        config.consumer.replica = Some(REPLICA.to_owned());
        Self { config, shutdown: Shutdown::new(), running: None }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Lets it read.
    pub(super) fn start(&mut self) {
        let (config, shutdown) = (self.config.clone(), self.shutdown.clone());
        self.running.get_or_insert_with(|| {
            let progress = Arc::new(consumer::Progress::new());
            let run = async move { consumer::run(&config, progress, OnRollback::Continue, shutdown).await };
            AbortOnDropHandle::new(tokio::spawn(run))
        });
    }

    /// Completes only when it ends although nobody asked it to.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match OptionFuture::from(self.running.as_mut()).await {
            None => std::future::pending().await,
            Some(Ok(Ok(_))) => anyhow::anyhow!("the consumer ended before its time"),
            Some(Ok(Err(error))) => error.into(),
            Some(Err(panic)) => anyhow::Error::new(panic).context("the consumer panicked"),
        }
    }

    /// Waits until everything that is in the stream now is in the tables, and ends it.
    pub(super) async fn catch_up(
        mut self,
        stream: &producer::heal::Heal,
        line: &Line,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        self.start();
        let end = stream.status().await?.incarnation.last_sequence;
        line.show("writing what was published into the tables".to_owned());
        let behind = stream.status().await?.unread();
        line.measure(behind);
        loop {
            let now = stream.status().await?;
            line.reach(behind.saturating_sub(now.unread()));
            if now.acknowledged().sequence >= end || now.unread() == 0 {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                ended = self.ended() => return Err(ended),
                () = shutdown.draining() => {
                    anyhow::bail!("stopped before everything was written; what was published will be, by any consumer");
                }
            }
        }
        self.shutdown.drain();
        if let Some(running) = self.running {
            running.await??;
        }
        Ok(())
    }
}
