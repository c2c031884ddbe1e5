//! `millrace up`: generator, tailer and consumers in one process, with services of its own.
//!
//! It ends in the order in which rows flow: the generator first, then the tailer, when every file is closed, then the
//! consumers, then the services; and what became of each file is printed last.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use common::config::{Config, Flags, OnClose, Problem};
use common::{Clock, Exit, Shutdown};
use futures::future::OptionFuture;
use producer::Outcome;
use sandbox::Sandbox;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::account::{Account, Latency, Parked, Total};
use crate::live::{Line, Live, Sight};
use crate::services;

/// Rows a second that are generated where nothing else is said.
const EVENTS_PER_SECOND: f64 = 1_000.0;

/// Flags of `millrace up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Read the files of this directory, and leave them there, instead of generating.
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    /// Generate nothing, and end when every file that is there is in the table.
    #[arg(long)]
    once: bool,
    /// Start from nothing: empty the private services and forget how far files have come.
    #[arg(long)]
    fresh: bool,
    /// Print the account as one JSON object.
    #[arg(long)]
    json: bool,
    /// How many consumers share the work.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    consumers: u16,
    /// End after this time, such as 30s, when what is there is in the table.
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// End after so many generated rows, made as fast as possible unless --events-per-second is given.
    #[arg(long, value_name = "N", conflicts_with_all = ["input", "once"])]
    count: Option<u64>,
    /// Rows a second to generate [default: 1000].
    #[arg(long, value_name = "N", conflicts_with_all = ["input", "once"])]
    events_per_second: Option<f64>,
    /// The same seed makes the same rows, but for their time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The share of generated rows that are spoilt, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    dirty_rate: Option<f64>,
    /// The share of generated rows that repeat an earlier one, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    duplicate_rate: Option<f64>,
}

impl Up {
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        flags.set("generate.duration", "--for", self.duration.map(|time| time.to_string()));
        flags.set("generate.count", "--count", self.count);
        flags.set("generate.events_per_second", "--events-per-second", self.events_per_second);
        flags.set("generate.seed", "--seed", self.seed);
        flags.set("generate.dirty_rate", "--dirty-rate", self.dirty_rate);
        flags.set("generate.duplicate_rate", "--duplicate-rate", self.duplicate_rate);
        flags.set("tail.landing_dir", "--input", self.input.as_ref());
        flags.set("tail.on_close", "--input", self.input.as_ref().map(|_| OnClose::Keep));
        flags
    }

    /// Runs until it is done, or a signal ends it.
    pub(crate) async fn run(
        self,
        mut config: Config,
        line: Line,
        shutdown: Shutdown,
    ) -> anyhow::Result<Exit> {
        if let Some(input) = self.input.as_ref().filter(|input| !input.is_dir()) {
            anyhow::bail!(Problem::new(format!(
                "--input {} is no directory that can be read",
                input.display()
            )));
        }
        let generate = self.input.is_none() && !self.once && config.generate.enabled;
        let paced = [config.generate.count.is_some(), config.generate.files.is_some()].contains(&true);
        if config.generate.events_per_second.is_none() && !paced {
            config.generate.events_per_second = Some(EVENTS_PER_SECOND);
        }
        if self.fresh {
            services::forget(&config)?;
        }
        let mut sandbox = services::start(&mut config).await?;
        let stages = self.stages(&config, generate, &shutdown).await;
        let result = match stages {
            Ok(stages) => stages.until_done(&mut sandbox, Live::new(line.clone()), &shutdown).await,
            Err(error) => Err(error),
        };
        let account = match result {
            Ok(done) => account(&config, done, sandbox.is_some()).await,
            Err(error) => Err(error),
        };
        line.clear();
        if let Some(sandbox) = sandbox {
            sandbox.stop().await?;
        }
        show(&account?, self.json)
    }

    /// Starts everything but the services.
    async fn stages(&self, config: &Config, generate: bool, shutdown: &Shutdown) -> anyhow::Result<Stages> {
        consumer::migrate(config, shutdown).await?;
        let (of_generator, of_tailer, of_consumers) = (Shutdown::new(), Shutdown::new(), Shutdown::new());
        let consumed = Arc::new(consumer::Progress::new());
        let mut consumers = JoinSet::new();
        for number in 1..=self.consumers {
            let mut config = config.clone();
            let name = config.consumer.replica.get_or_insert_with(|| format!("up-{}", std::process::id()));
            *name = format!("{name}-{number}");
            let (consumed, shutdown) = (consumed.clone(), of_consumers.clone());
            consumers.spawn(async move { consumer::run(&config, consumed, shutdown).await });
        }
        let made = Arc::new(producer::generate::Progress::default());
        let generator = generate.then(|| {
            let (config, made, shutdown) = (config.clone(), made.clone(), of_generator.clone());
            let seed = config.generate.seed.unwrap_or_else(rand::random);
            let landing = config.landing_dir();
            tokio::spawn(async move {
                producer::generate::run(&config.generate, &landing, seed, Clock::System, made, shutdown).await
            })
        });
        let ending = CancellationToken::new();
        if self.once {
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
        let limit = self.input.as_ref().and(config.generate.duration);
        Ok(Stages {
            generator,
            tailer,
            consumers,
            ending,
            limit,
            of_generator,
            of_tailer,
            of_consumers,
            sight: Watch { made: generate.then_some(made), published, consumed },
            begun: Instant::now(),
        })
    }
}

/// The running parts, in the order in which rows flow, each with its own way to end.
struct Stages {
    generator: Option<JoinHandle<Result<producer::generate::Generated, producer::generate::Error>>>,
    tailer: JoinHandle<Result<Outcome, producer::Error>>,
    consumers: JoinSet<Result<consumer::Counts, consumer::Error>>,
    /// Asks the tailer to finish what is there.
    ending: CancellationToken,
    /// When to end where nothing is generated.
    limit: Option<std::time::Duration>,
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
struct Done {
    outcome: Outcome,
    interrupted: bool,
    consumed: Arc<consumer::Progress>,
    begun: Instant,
}

impl Stages {
    async fn until_done(
        mut self,
        sandbox: &mut Option<Sandbox>,
        mut live: Live,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Done> {
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
                    break Outcome::default();
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
        Ok(Done { outcome, interrupted, consumed: self.sight.consumed, begun: self.begun })
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

/// The account of the files that were met: counted from the tables where they are ours, and small; from the ledger
/// where they may hold more than this run.
async fn account(config: &Config, done: Done, private: bool) -> anyhow::Result<Account> {
    let url = config.database.url.as_ref().context("there is no database")?;
    let met: Vec<i64> = done.outcome.files.iter().map(|file| file.get()).collect();
    let files = if private {
        consumer::account::from_tables(url, Some(&met)).await?
    } else {
        consumer::account::by_file(url, Some(&met)).await?
    };
    let counts = done.consumed.counts();
    let rows_written = counts.events + counts.duplicates + counts.corrupt;
    let (p50, p99) = done.consumed.latency();
    let seconds =
        done.consumed.first_and_last_commit().map_or(0.0, |(_, last)| (last - done.begun).as_secs_f64());
    let parked = done.outcome.parked.into_iter().map(|(file, reason)| Parked { file, reason });
    Ok(Account {
        total: Total::of(&files),
        law_holds: files.iter().all(consumer::account::FileAccount::law_holds),
        files,
        parked: parked.collect(),
        interrupted: done.interrupted,
        rows_written,
        rows_per_second: if rows_written == 0 { 0.0 } else { rows_written as f64 / seconds.max(0.001) },
        latency_ms: Latency { p50, p99 },
    })
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn show(account: &Account, json: bool) -> anyhow::Result<Exit> {
    if json {
        println!("{}", serde_json::to_string_pretty(account)?);
    } else {
        print!("{}", account.to_text());
    }
    Ok(if account.is_well() { Exit::Ok } else { Exit::Failed })
}
