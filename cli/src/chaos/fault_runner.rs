//! A plan and a cluster enter; every strike of the plan hits the cluster; what was done and how long it took to recover
//! leaves.

mod fill; // the stream refuses messages
mod restore; // the database goes back in time
mod settle; // every file is closed

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use common::config::Config;
use common::{Clock, Shutdown};
use ledger::commits::{CommitFilter, Commits};

use super::cluster::Cluster;
use super::counts::Counts;
use super::open_files::OpenFiles;
use super::plan::{Fault, Link, Plan, Round, Strike, Victim};
use super::processes::replica;
use super::progress::Progress;

/// After how long something that does not recover has failed. Far longer than it takes on a slow machine under load.
const RECOVERY: Duration = Duration::from_mins(2);
/// Between two looks at the database.
const LOOK: Duration = Duration::from_millis(20);
/// How long rows flow before the store is removed under them.
const LOAD: Duration = Duration::from_millis(700);

/// The plan at work on the cluster.
pub(super) struct FaultRunner<'a> {
    pub(super) cluster: &'a mut Cluster,
    /// Of the services themselves, not through the network.
    pub(super) config: &'a Config,
    pub(super) commits: Commits,
    pub(super) open_files: OpenFiles,
    pub(super) progress: &'a mut Progress,
    pub(super) shutdown: &'a Shutdown,
    pub(super) clock: Clock,
    pub(super) counts: Counts,
}

/// Something that has been brought back.
#[derive(Clone, Copy, Debug)]
struct Back {
    victim: Victim,
    /// Whether rows that it commits must also have been taken off the stream since.
    is_fetched: bool,
    /// When its start or its continuation began.
    since: DateTime<Utc>,
}

impl FaultRunner<'_> {
    /// Strikes until the plan is at its end, or this moment has come, or something does not recover, or `shutdown`
    /// drains.
    pub(super) async fn run(mut self, plan: Plan, until: Option<Instant>) -> anyhow::Result<Counts> {
        // At first everything has just been started.
        let mut unsettled = self.all_back(Victim::Nats, self.clock.now());
        for (number, round) in plan.enumerate() {
            if round.is_measured || number == 0 {
                self.recover(&mut unsettled).await?;
            }
            let is_over = until.is_some_and(|until| Instant::now() >= until);
            if is_over || self.is_ending() {
                break;
            }
            for (fault, back) in self.play(&round).await? {
                for back in &back {
                    let took = if round.is_measured { self.recovery(*back).await? } else { None };
                    self.counts.recoveries.extend(took);
                    if let Strike::Kill(victim) | Strike::Stop(victim) = fault.strike
                        && victim == back.victim
                    {
                        self.counts.groups[victim.group()].recoveries.extend(took);
                    }
                }
                // A later start of the same process is what counts.
                unsettled.retain(|before: &Back| back.iter().all(|now| now.victim != before.victim));
                unsettled.extend(back);
            }
        }
        self.recover(&mut unsettled).await?;
        self.counts.is_interrupted = self.shutdown.is_draining();
        Ok(self.counts)
    }

    /// Strikes one after the other, and brings back in the same order.
    async fn play(&mut self, round: &Round) -> anyhow::Result<Vec<(Fault, Vec<Back>)>> {
        self.rest(round.pause).await;
        let mut struck = Vec::new();
        let mut back = Vec::new();
        for fault in &round.faults {
            // One that has ended by itself is not to be taken for one that was struck.
            self.revive().await?;
            if fault.strike == Strike::Store && !self.settle(LOAD).await? {
                break;
            }
            if self.is_ending() {
                break;
            }
            self.progress.show(fault);
            self.counts.add(*fault);
            if fault.strike == Strike::Restore {
                let since = self.restore(fault.lasts).await?;
                back.push((*fault, self.all_back(Victim::Postgres, since)));
                continue;
            }
            struck.push(self.cluster.strike(*fault).await?);
            if fault.strike == Strike::Fill {
                self.fill().await?;
            }
            self.rest(fault.lasts).await;
        }
        let is_store = struck.iter().any(|struck| struck.fault.strike == Strike::Store);
        for struck in struck {
            let (fault, since) = (struck.fault, self.clock.now());
            self.cluster.bring_back(struck).await?;
            back.push((fault, self.all_back_after(fault.strike, since)));
        }
        if is_store {
            // Rows that only the lost stream had are read again from their files, which must be there until then.
            self.end_settled().await?;
        }
        self.progress.advance(round.kills());
        Ok(back)
    }

    /// What has to be at work again after this strike.
    fn all_back_after(&self, strike: Strike, since: DateTime<Utc>) -> Vec<Back> {
        match strike {
            Strike::Kill(victim) | Strike::Stop(victim) => self.all_back(victim, since),
            Strike::Network(Link::ProducerToNats, _) => self.all_back(Victim::Producer, since),
            Strike::Network(link, _) => self.all_back(link.client(), since),
            Strike::Store => self.all_back(Victim::Nats, since),
            Strike::Fill | Strike::Restore => self.all_back(Victim::Postgres, since),
        }
    }

    /// What came back, and every replica where it is a server that came back.
    fn all_back(&self, victim: Victim, since: DateTime<Utc>) -> Vec<Back> {
        let is_fetched = matches!(victim, Victim::Producer | Victim::Nats);
        let mut all = vec![Back { victim, is_fetched, since }];
        if matches!(victim, Victim::Nats | Victim::Postgres) {
            all.extend(self.cluster.replicas().map(|victim| Back { victim, is_fetched: false, since }));
        }
        all
    }

    /// Waits until all of these have recovered.
    async fn recover(&mut self, unsettled: &mut Vec<Back>) -> anyhow::Result<()> {
        for back in unsettled.drain(..) {
            self.recovery(back).await?;
        }
        Ok(())
    }

    /// Waits for new rows after this start, and gives how long they took: those of the replica itself where it is one,
    /// and rows that were also taken off the stream after it where they have to pass what was away. `None` when they do
    /// not come in time, which is a complaint, or the run is to end.
    async fn recovery(&mut self, back: Back) -> anyhow::Result<Option<Duration>> {
        let deadline = Instant::now() + RECOVERY;
        let replica = match back.victim {
            Victim::Consumer(number) => Some(replica(number)),
            _ => None,
        };
        let wanted =
            CommitFilter { since: back.since, replica: replica.as_deref(), fetched_since: back.is_fetched };
        while !self.is_ending() {
            if let Some(first) = self.commits.first(wanted).await? {
                return Ok((first - back.since).to_std().ok());
            }
            if Instant::now() > deadline {
                let seconds = RECOVERY.as_secs();
                self.counts.stuck(format!("{} has not recovered after {seconds} s", back.victim));
                break;
            }
            self.revive().await?;
            self.rest(LOOK).await;
        }
        Ok(None)
    }

    async fn revive(&mut self) -> anyhow::Result<()> {
        let deaths = self.cluster.revive().await?;
        self.counts.add_deaths(&deaths)
    }

    /// No more strikes: a signal asks for the end, or something does not recover.
    fn is_ending(&self) -> bool {
        self.shutdown.is_draining() || self.counts.is_stuck
    }

    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.shutdown.draining() => {}
        }
    }
}
