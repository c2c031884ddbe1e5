//! The database is put back to a copy of seconds ago, as after the loss of a disk. Consumers have to refuse it, and
//! `millrace heal` puts back what it has lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use ledger::commits::CommitFilter;

use super::{Back, FaultRunner, LOOK};
use crate::chaos::plan::Victim;
use crate::chaos::processes::{Part, ending, replica};

/// How long consumers may take to refuse the database, or to commit to it.
const REFUSING: Duration = Duration::from_secs(30);
/// How long healing may take.
const HEALING: Duration = Duration::from_mins(10);
/// How a consumer ends that refuses a database.
const REFUSED: i32 = 1;

impl FaultRunner<'_> {
    /// Copies, lets rows come for `age` after the first commit, puts back, heals. Gives the moment at which consumers could
    /// go on.
    pub(super) async fn restore(&mut self, age: Duration) -> anyhow::Result<DateTime<Utc>> {
        if !self.settle(Duration::ZERO).await? {
            return Ok(self.clock.now());
        }
        self.cluster.kill(Victim::Postgres).await?;
        self.cluster.sandbox.copy_cluster().await?;
        let copied = Back { victim: Victim::Postgres, is_fetched: false, since: self.clock.now() };
        self.cluster.start_again(Victim::Postgres).await?;
        // On a slow machine nothing would be committed in that time, and nothing lost.
        self.recovery(copied).await?;
        self.rest(age).await;
        self.revive().await?;

        self.cluster.kill(Victim::Postgres).await?;
        self.cluster.sandbox.put_back_cluster().await?;
        let put_back = self.clock.now();
        self.cluster.start_again(Victim::Postgres).await?;
        let ended = self.refusals(put_back).await?;
        self.heal().await?;
        let since = self.clock.now();
        for victim in ended {
            self.cluster.start_again(victim).await?;
        }
        self.end_settled().await?;
        Ok(since)
    }

    /// Waits until each consumer has refused the database, or has committed to it, since what it had committed before is
    /// there: one of both comes with the next rows. Gives the consumers that have ended. One that did neither in time is
    /// killed: it would refuse the database after the healing.
    async fn refusals(&mut self, put_back: DateTime<Utc>) -> anyhow::Result<Vec<Victim>> {
        let deadline = Instant::now() + REFUSING;
        let mut undecided: BTreeSet<Victim> = self.cluster.replicas().collect();
        let mut ended = Vec::new();
        while !undecided.is_empty() {
            for (victim, status) in self.cluster.take_ended() {
                if status.code() != Some(REFUSED) {
                    let how = ending(status);
                    self.counts.complaints.push(format!("{victim} ended with {how} after a restore"));
                }
                undecided.remove(&victim);
                ended.push(victim);
            }
            for victim in undecided.clone() {
                if self.has_committed(victim, put_back).await? {
                    undecided.remove(&victim);
                } else if Instant::now() > deadline {
                    self.cluster.kill(victim).await?;
                    undecided.remove(&victim);
                    ended.push(victim);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(ended)
    }

    async fn has_committed(&mut self, victim: Victim, since: DateTime<Utc>) -> anyhow::Result<bool> {
        let Victim::Consumer(number) = victim else { return Ok(false) };
        let filter = CommitFilter { since, replica: Some(&replica(number)), fetched_since: false };
        Ok(self.commits.first(filter).await?.is_some())
    }

    async fn heal(&mut self) -> anyhow::Result<()> {
        let heal = self.cluster.run(Part::Heal).await?;
        let ended = tokio::time::timeout(HEALING, heal.ended()).await;
        let complaint = match ended {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => format!("millrace heal ended with {}; see heal.log", ending(status)),
            Err(_late) => {
                heal.kill().await?;
                format!("millrace heal has not ended after {} s", HEALING.as_secs())
            }
        };
        self.counts.stuck(complaint);
        Ok(())
    }
}
