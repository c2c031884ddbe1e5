//! The progress of a run: a bar on a terminal, a line for each strike elsewhere.

use std::time::{Duration, Instant};

use super::plan::Fault;
use crate::live::Line;

/// Until when the bar goes.
#[derive(Debug)]
pub(super) enum Goal {
    Kills(u64),
    Time(Duration),
}

/// Draws the bar.
#[derive(Debug)]
pub(super) struct Progress {
    line: Line,
    goal: Goal,
    began: Instant,
    kills: u64,
}

impl Progress {
    pub(super) fn new(line: Line, goal: Goal) -> Self {
        line.measure(match goal {
            Goal::Kills(kills) => kills,
            Goal::Time(time) => time.as_secs(),
        });
        Self { line, goal, began: Instant::now(), kills: 0 }
    }

    /// A strike begins.
    pub(super) fn show(&self, fault: &Fault) {
        self.line.show(fault.to_string());
    }

    /// Something else goes on.
    pub(super) fn log(&self, words: &str) {
        self.line.show(words.to_owned());
    }

    /// Further kills are done.
    pub(super) fn advance(&mut self, kills: u64) {
        self.kills += kills;
        self.line.reach(match self.goal {
            Goal::Kills(_) => self.kills,
            Goal::Time(time) => self.began.elapsed().min(time).as_secs(),
        });
    }
}
