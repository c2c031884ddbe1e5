//! A plan and a rig enter; the rig goes through the plan; what was done and how long it took to recover
//! leaves.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use common::{Clock, Shutdown};
use consumer::commits::{Commits, Wanted};

use super::plan::{GROUPS, How, Plan, Round, Victim};
use super::processes::replica;
use super::rig::{Death, Rig};
use super::sight::Sight;

/// After how long something that does not recover has failed.
const RECOVERY: Duration = Duration::from_mins(1);
/// Between two looks at the database.
const LOOK: Duration = Duration::from_millis(20);
/// Who ends by itself more often than this is not started again.
const DEATHS: usize = 50;

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By [`GROUPS`].
    pub(super) groups: [Strikes; GROUPS.len()],
    /// Processes that ended although nobody had struck them.
    pub(super) deaths: Vec<String>,
    /// What did not recover in time.
    pub(super) unrecovered: Vec<String>,
    /// Whether a signal ended it early.
    pub(super) is_interrupted: bool,
}

/// What happened to one kind of process.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    pub(super) kills: u64,
    pub(super) stops: u64,
    /// How often one ended by itself.
    pub(super) deaths: u64,
    /// Each time to recover that was measured.
    pub(super) recoveries: Vec<Duration>,
}

/// Something that has been brought back.
#[derive(Clone, Copy, Debug)]
struct Back {
    victim: Victim,
    /// When its start or its continuation began.
    since: DateTime<Utc>,
}

impl Tally {
    /// All faults so far.
    pub(super) fn strikes(&self) -> u64 {
        self.groups.iter().map(|group| group.kills + group.stops).sum()
    }

    /// Fails where it happens again and again.
    pub(super) fn mourn(&mut self, death: &Death) -> anyhow::Result<()> {
        tracing::warn!(how = death.how, "{} ended by itself; starting it again", death.victim);
        self.groups[death.victim.group()].deaths += 1;
        self.deaths.push(format!("{} ended by itself with {}", death.victim, death.how));
        anyhow::ensure!(
            self.deaths.len() <= DEATHS,
            "{} keeps ending by itself; its log tells why",
            death.victim
        );
        Ok(())
    }
}

/// The plan at work on the rig.
pub(super) struct Storm<'a> {
    pub(super) rig: &'a mut Rig,
    pub(super) commits: Commits,
    pub(super) sight: &'a mut Sight,
    pub(super) shutdown: &'a Shutdown,
    pub(super) clock: Clock,
    pub(super) tally: Tally,
}

impl Storm<'_> {
    /// Strikes until the plan is at its end, or this moment has come, or something does not recover, or
    /// `shutdown` drains.
    pub(super) async fn rage(mut self, plan: Plan, until: Option<Instant>) -> anyhow::Result<Tally> {
        // At first everyone has just been started.
        let mut unsettled = self.all_back(Back { victim: Victim::Nats, since: self.clock.now() });
        for round in plan {
            if round.is_patient || self.tally.strikes() == 0 {
                self.settle(&mut unsettled).await?;
            }
            let is_over = until.is_some_and(|until| Instant::now() >= until);
            if is_over || self.is_ending() {
                break;
            }
            let back = self.play(&round).await?;
            for back in back {
                if round.is_patient {
                    let took = self.recovery(back).await?;
                    self.tally.groups[back.victim.group()].recoveries.extend(took);
                }
                let back = self.all_back(back);
                // A later start of the same process is what counts.
                unsettled.retain(|before| back.iter().all(|now| now.victim != before.victim));
                unsettled.extend(back);
            }
        }
        self.settle(&mut unsettled).await?;
        self.tally.is_interrupted = self.shutdown.is_draining();
        Ok(self.tally)
    }

    /// Strikes one after the other, and brings back in the same order.
    async fn play(&mut self, round: &Round) -> anyhow::Result<Vec<Back>> {
        self.rest(round.calm).await;
        let mut struck = Vec::new();
        for fault in &round.faults {
            // One that has ended by itself is not to be taken for one that was struck.
            self.revive().await?;
            self.sight.show(fault);
            struck.push(self.rig.strike(*fault).await?);
            let strikes = &mut self.tally.groups[fault.victim.group()];
            *(if fault.how == How::Kill { &mut strikes.kills } else { &mut strikes.stops }) += 1;
            self.rest(fault.down).await;
        }
        let mut back = Vec::new();
        for struck in struck {
            back.push(Back { victim: struck.victim, since: self.clock.now() });
            self.rig.bring_back(struck).await?;
        }
        self.sight.advance(round.kills());
        Ok(back)
    }

    /// Who has to be at work again: what came back, and every replica where it is a server that came back.
    fn all_back(&self, back: Back) -> Vec<Back> {
        let mut all = vec![back];
        if matches!(back.victim, Victim::Nats | Victim::Postgres) {
            all.extend(self.rig.replicas().map(|victim| Back { victim, ..back }));
        }
        all
    }

    /// Waits until all of these have recovered.
    async fn settle(&mut self, unsettled: &mut Vec<Back>) -> anyhow::Result<()> {
        for back in unsettled.drain(..) {
            self.recovery(back).await?;
        }
        Ok(())
    }

    /// Waits for new rows after this start, and tells how long they took: those of the replica itself where
    /// it is one, and rows that were also taken off the stream after it where they have to pass what was
    /// away. `None` when they do not come in time, which is a complaint, or nobody waits any more.
    async fn recovery(&mut self, back: Back) -> anyhow::Result<Option<Duration>> {
        let deadline = Instant::now() + RECOVERY;
        let replica = match back.victim {
            Victim::Consumer(number) => Some(replica(number)),
            _ => None,
        };
        let fetched_since = matches!(back.victim, Victim::Producer | Victim::Nats);
        let wanted = Wanted { since: back.since, replica: replica.as_deref(), fetched_since };
        while !self.is_ending() {
            if let Some(first) = self.commits.first(wanted).await? {
                return Ok((first - back.since).to_std().ok());
            }
            if Instant::now() > deadline {
                let seconds = RECOVERY.as_secs();
                self.tally.unrecovered.push(format!("{} has not recovered after {seconds} s", back.victim));
                break;
            }
            self.revive().await?;
            self.rest(LOOK).await;
        }
        Ok(None)
    }

    async fn revive(&mut self) -> anyhow::Result<()> {
        for death in self.rig.revive().await? {
            self.tally.mourn(&death)?;
        }
        Ok(())
    }

    /// No more faults: somebody wants the end, or something does not recover.
    fn is_ending(&self) -> bool {
        self.shutdown.is_draining() || !self.tally.unrecovered.is_empty()
    }

    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.shutdown.draining() => {}
        }
    }
}
