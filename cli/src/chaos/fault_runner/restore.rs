//! The database is put back to a copy of seconds ago, as after the loss of a disk. Consumers have to refuse it, and
//! `millrace heal` puts back what it has lost.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{FaultRunner, LOOK};
use crate::chaos::plan::Victim;
use crate::chaos::processes::{Part, ending};

/// How long consumers may take to notice. One that has committed nothing since the copy has nothing to notice.
const NOTICING: Duration = Duration::from_secs(10);
/// How long healing may take.
const HEALING: Duration = Duration::from_mins(3);
/// How a consumer ends that refuses a database.
const REFUSED: i32 = 1;

impl FaultRunner<'_> {
    /// Copies, lets rows come for `age`, puts back, heals. Gives the moment at which consumers could go on.
    pub(super) async fn restore(&mut self, age: Duration) -> anyhow::Result<DateTime<Utc>> {
        if !self.settle(Duration::ZERO).await? {
            return Ok(self.clock.now());
        }
        self.cluster.kill(Victim::Postgres).await?;
        self.cluster.sandbox.copy_cluster().await?;
        self.cluster.start_again(Victim::Postgres).await?;
        self.rest(age).await;
        self.revive().await?;

        self.cluster.kill(Victim::Postgres).await?;
        self.cluster.sandbox.put_back_cluster().await?;
        self.cluster.start_again(Victim::Postgres).await?;
        let refused = self.refusals().await;
        self.heal().await?;
        let since = self.clock.now();
        for victim in refused {
            self.cluster.start_again(victim).await?;
        }
        self.end_settled().await?;
        Ok(since)
    }

    /// The consumers that ended because the database has gone back.
    async fn refusals(&mut self) -> Vec<Victim> {
        let deadline = Instant::now() + NOTICING;
        let mut refused = Vec::new();
        while refused.len() < self.cluster.replicas().count() && Instant::now() < deadline {
            for (victim, status) in self.cluster.take_ended() {
                if status.code() != Some(REFUSED) {
                    let how = ending(status);
                    self.counts.complaints.push(format!("{victim} ended with {how} after a restore"));
                }
                refused.push(victim);
            }
            tokio::time::sleep(LOOK).await;
        }
        refused
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
