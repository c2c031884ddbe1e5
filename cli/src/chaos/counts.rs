//! What was struck, how long it took to recover, and what went wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::Death;
use super::kind::Kind;
use super::plan::{Fault, PROCESS_GROUPS, Strike};

/// A process that ends by itself more often than this is not started again.
const DEATHS: usize = 50;

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By [`PROCESS_GROUPS`].
    pub(super) groups: [OfProcess; PROCESS_GROUPS.len()],
    /// All strikes on processes and services, by kind.
    pub(super) strikes: BTreeMap<Kind, u64>,
    /// How often the stream was full.
    pub(super) filled: u64,
    /// Each time to recover that was measured.
    pub(super) recoveries: Vec<Duration>,
    /// What went wrong besides rows.
    pub(super) complaints: Vec<String>,
    /// Whether something did not recover in time: then there is no use in going on.
    pub(super) is_stuck: bool,
    /// Whether a signal ended the run early.
    pub(super) is_interrupted: bool,
    deaths: usize,
}

/// What happened to one kind of process.
#[derive(Debug, Default)]
pub(super) struct OfProcess {
    pub(super) kills: u64,
    pub(super) stops: u64,
    /// How often one ended by itself.
    pub(super) deaths: u64,
    /// Each time to recover that was measured.
    pub(super) recoveries: Vec<Duration>,
}

impl Counts {
    /// One more strike.
    pub(super) fn add(&mut self, fault: Fault) {
        *self.strikes.entry(fault.strike.kind()).or_default() += 1;
        match fault.strike {
            Strike::Kill(victim) => self.groups[victim.group()].kills += 1,
            Strike::Stop(victim) => self.groups[victim.group()].stops += 1,
            _ => {}
        }
    }

    /// Something did not recover in time.
    pub(super) fn stuck(&mut self, complaint: String) {
        self.complaints.push(complaint);
        self.is_stuck = true;
    }

    /// Counts processes that ended by themselves. Fails where that happens again and again.
    pub(super) fn add_deaths(&mut self, deaths: &[Death]) -> anyhow::Result<()> {
        for Death { victim, how } in deaths {
            tracing::warn!(how, "{victim} ended by itself; it was started again");
            self.groups[victim.group()].deaths += 1;
            self.complaints.push(format!("{victim} ended by itself with {how}"));
            self.deaths += 1;
            anyhow::ensure!(self.deaths <= DEATHS, "{victim} keeps ending by itself; see its log");
        }
        Ok(())
    }
}
