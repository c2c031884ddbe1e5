//! The parts of `up` at work: started in one go, ended in the order in which rows flow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use common::config::Config;
use common::{Clock, Shutdown};
use futures::future::OptionFuture;
use ledger::rollback::OnRollback;
use producer::Outcome;
use sandbox::Sandbox;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::live::{Live, Sight};

/// How long the tailer may take to stop at once.
const STOPPING: Duration = Duration::from_secs(2);

/// What to start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Whether rows are generated.
    pub(crate) generate: bool,
    /// Whether to end when what is there is done.
    pub(crate) once: bool,
    /// How many consumers.
    pub(crate) consumers: u16,
    /// When to end where nothing is generated.
    pub(crate) limit: Option<Duration>,
}

/// The running parts, in the order in which rows flow, each with its own way to end.
pub(crate) struct Stages {
    generator: Option<JoinHandle<Result<producer::generate::Generated, producer::generate::Error>>>,
    tailer: JoinHandle<Result<Outcome, producer::Error>>,
    consumers: JoinSet<Result<consumer::Counts, consumer::Error>>,
    /// Asks the tailer to finish what is there.
    ending: CancellationToken,
    /// When to end where nothing is generated.
    limit: Option<Duration>,
    of_generator: Shutdown,
    of_tailer: Shutdown,
    of_consumers: Shutdown,
    sight: Watch,
    begun: Instant,
}

/// What the parts say of themselves.
struct Watch {
    made: Option<Arc<producer::generate::Progress>>,
    published: Arc<producer::Progress>,
    consumed: Arc<consumer::Progress>,
}

/// How the run ended.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    pub(crate) interrupted: bool,
    pub(crate) consumed: Arc<consumer::Progress>,
    pub(crate) begun: Instant,
}

impl Stages {
    /// Starts everything but the services.
    pub(crate) async fn start(plan: Plan, config: &Config, shutdown: &Shutdown) -> anyhow::Result<Self> {
        ledger::migrate(config, shutdown).await?;
        let (of_generator, of_tailer, of_consumers) = (Shutdown::new(), Shutdown::new(), Shutdown::new());
        let consumed = Arc::new(consumer::Progress::new());
        let mut consumers = JoinSet::new();
        for number in 1..=plan.consumers {
            let mut config = config.clone();
            let name = config.consumer.replica.get_or_insert_with(|| format!("up-{}", std::process::id()));
            *name = format!("{name}-{number}");
            let (consumed, shutdown) = (consumed.clone(), of_consumers.clone());
            consumers
                .spawn(async move { consumer::run(&config, consumed, OnRollback::Refuse, shutdown).await });
        }
        let made = Arc::new(producer::generate::Progress::default());
        let generator = plan.generate.then(|| {
            let (config, made, shutdown) = (config.clone(), made.clone(), of_generator.clone());
            let seed = config.generate.seed.unwrap_or_else(rand::random);
            let landing = config.landing_dir();
            tokio::spawn(async move {
                producer::generate::run(&config.generate, &landing, seed, Clock::System, made, shutdown).await
            })
        });
        let ending = CancellationToken::new();
        if plan.once {
            ending.cancel();
        }
        let published = Arc::new(producer::Progress::default());
        let tailer = {
            let (config, published) = (config.clone(), published.clone());
            let (ending, shutdown) = (ending.clone(), of_tailer.clone());
            tokio::spawn(async move {
                producer::tail(&config, &config.landing_dir(), published, ending, shutdown).await
            })
        };
        Ok(Self {
            generator,
            tailer,
            consumers,
            ending,
            limit: plan.limit,
            of_generator,
            of_tailer,
            of_consumers,
            sight: Watch { made: plan.generate.then_some(made), published, consumed },
            begun: Instant::now(),
        })
    }

    /// Watches over the parts until all is done, a signal ends it, or one fails; then the others are ended too.
    pub(crate) async fn until_done(
        mut self,
        sandbox: &mut Option<Sandbox>,
        mut live: Live,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Done> {
        match self.watch(sandbox, &mut live, shutdown).await {
            Ok((outcome, interrupted)) => {
                Ok(Done { outcome, interrupted, consumed: self.sight.consumed, begun: self.begun })
            }
            Err(error) => {
                self.stop().await;
                Err(error)
            }
        }
    }

    /// Ends every part at once, so that none is at work when the services end, and none when the runtime does.
    async fn stop(mut self) {
        for part in [&self.of_generator, &self.of_tailer, &self.of_consumers] {
            part.stop();
        }
        let ended = async {
            if !self.tailer.is_finished() {
                let _ = (&mut self.tailer).await;
            }
            while self.consumers.join_next().await.is_some() {}
            if let Some(generator) = self.generator.as_mut().filter(|generator| !generator.is_finished()) {
                let _ = generator.await;
            }
        };
        if tokio::time::timeout(STOPPING, ended).await.is_err() {
            tracing::debug!("a part of the run did not stop in time");
        }
    }

    /// What the tailer has met, and whether a signal ended it.
    async fn watch(
        &mut self,
        sandbox: &mut Option<Sandbox>,
        live: &mut Live,
        shutdown: &Shutdown,
    ) -> anyhow::Result<(Outcome, bool)> {
        let mut tick = tokio::time::interval(live.period());
        tick.tick().await;
        let limit = self.limit;
        let over = async move {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let mut interrupted = false;
        let outcome = loop {
            tokio::select! {
                tailed = &mut self.tailer => break tailed.context("the tailer panicked")??,
                Some(made) = OptionFuture::from(self.generator.as_mut()) => {
                    made.context("the generator panicked")??;
                    self.generator = None;
                    self.ending.cancel();
                }
                Some(ended) = self.consumers.join_next() => {
                    ended.context("a consumer panicked")??;
                    anyhow::bail!("a consumer ended before its time");
                }
                Some(error) = OptionFuture::from(sandbox.as_mut().map(Sandbox::ended)) => return Err(error.into()),
                () = &mut over, if !self.ending.is_cancelled() => self.ending.cancel(),
                () = shutdown.stopped() => {
                    self.of_generator.stop();
                    self.of_tailer.stop();
                    self.of_consumers.stop();
                    interrupted = true;
                    // It ends at once, and returns the files that it has read.
                    break match tokio::time::timeout(STOPPING, &mut self.tailer).await {
                        Ok(Ok(Ok(outcome))) => outcome,
                        _ => Outcome::default(),
                    };
                }
                () = shutdown.draining(), if !interrupted => {
                    interrupted = true;
                    self.of_generator.drain();
                    if self.generator.is_none() {
                        self.ending.cancel();
                    }
                }
                _ = tick.tick() => live.draw(&self.sight.now()),
            }
        };
        self.of_consumers.drain();
        while let Some(ended) = self.consumers.join_next().await {
            ended.context("a consumer panicked")??;
        }
        live.draw(&self.sight.now());
        Ok((outcome, interrupted))
    }
}

impl Watch {
    fn now(&self) -> Sight {
        Sight {
            written: self.made.as_ref().map(|made| made.rows()),
            in_stream: self.published.messages(),
            events: self.consumed.events(),
            duplicates: self.consumed.duplicates(),
            corrupt: self.consumed.corrupt(),
            latency_ms: self.consumed.take_recent(),
        }
    }
}
