//! A program of the owner's enters; it runs under the same guard as the servers, and ends with its owner as
//! they do.

use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::aside::aside;
use crate::guard::{self, Guard, Signals};
use crate::log::Held;
use crate::{Error, Frozen};

const SIGNALS: Signals = Signals { stop: "TERM", quick: "TERM" };

/// A program that runs. Dropping it ends it quickly.
#[derive(Debug)]
pub struct Process {
    guard: Guard,
}

impl Process {
    /// Runs `program` with what `set` adds (arguments, environment, directory). What it prints goes to `log`,
    /// behind what is there. A predecessor with the same log that is still going down is waited for.
    pub async fn start(
        name: &'static str,
        program: &Path,
        log: &Path,
        set: impl FnOnce(&mut Command) + Send + 'static,
    ) -> Result<Self, Error> {
        let (program, log) = (program.to_owned(), log.to_owned());
        aside(move || {
            let held = Held::take(name, log)?;
            let mut command = guard::command(&program, &SIGNALS, None);
            set(&mut command);
            Ok(Self { guard: Guard::start(name, command, &held)? })
        })
        .await
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// How it has ended, if it has. A status above 128 is 128 and the number of the signal that ended it.
    pub fn has_ended(&self) -> Option<ExitStatus> {
        self.guard.has_ended()
    }

    /// Completes when it has ended.
    ///
    /// Cancel safe.
    pub async fn ended(&self) -> ExitStatus {
        self.guard.status().await
    }

    /// Ends it as a crash does, with SIGKILL, and waits until it is gone.
    pub async fn kill(self) -> Result<(), Error> {
        aside(move || self.guard.kill()).await
    }

    /// Stops it where it is (SIGSTOP) until what this gives is dropped.
    pub async fn freeze(&self) -> Result<Frozen, Error> {
        Frozen::freeze(vec![self.pid()]).await
    }

    /// Asks it to stop (SIGTERM) and returns how it ended; kills it where it does not stop in time.
    pub async fn stop(mut self) -> Result<ExitStatus, Error> {
        aside(move || {
            self.guard.stop()?;
            Ok(self.guard.has_ended().unwrap_or_default())
        })
        .await
    }
}
