//! A program enters; a running service leaves, which ends with its owner however the owner ends.
//!
//! The guard is a shell between the two (`guard.sh`): it reads a pipe that closes when this process is gone. It needs
//! no parent-death signal, which only Linux has, and no program of ours, so that it works in tests too. It leads a
//! process group of its own, so that Ctrl-C on a terminal reaches the owner only, who then stops the services in
//! good order.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::Error;
use crate::log::{Held, Log};
use crate::wait::until;

pub(crate) const SHELL: &str = "/bin/sh";
const SCRIPT: &str = include_str!("guard.sh");
/// How long a service may take to start, crash recovery included.
const START: Duration = Duration::from_mins(2);
/// How long a service may take to stop when asked.
const STOP: Duration = Duration::from_secs(30);
/// How long it may take when not asked any more; the script kills it before.
const END: Duration = Duration::from_secs(5);

/// The signals that a service understands, by name.
pub(crate) struct Signals {
    /// Asks it to stop in good order.
    pub(crate) stop: &'static str,
    /// Makes it end at once, in a state from which it recovers.
    pub(crate) quick: &'static str,
}

/// A service and the guard over it. Dropping it ends the service quickly.
#[derive(Debug)]
pub(crate) struct Guard {
    name: &'static str,
    service: u32,
    orders: Option<ChildStdin>,
    ended: watch::Receiver<Option<ExitStatus>>,
    log: Log,
}

/// The command that runs `program` under guard; its arguments and environment are the caller's to add.
pub(crate) fn command(program: &Path, signals: &Signals, leftover: Option<&Path>) -> Command {
    let mut command = Command::new(SHELL);
    command.args(["-c", SCRIPT, "guard", signals.stop, signals.quick]);
    command.arg(leftover.unwrap_or(Path::new(""))).arg(program).process_group(0);
    command
}

impl Guard {
    /// Runs what [`command`] made, and lends it the log.
    pub(crate) fn start(name: &'static str, mut command: Command, held: &Held) -> Result<Self, Error> {
        let log = held.log()?;
        let failed_to_run = |source| Error::Run { program: SHELL.into(), source };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(held.lend()?);
        let mut shell = spawn(&mut command).map_err(failed_to_run)?;
        let orders = shell.stdin.take();
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(failed_to_run)?;
        }
        let service = line.trim().parse().map_err(|_| Error::Ended {
            service: name,
            status: "no process id".to_owned(),
            log: log.path.clone(),
            tail: log.tail(),
        })?;
        Ok(Self { name, service, orders, ended: reap(shell), log })
    }

    /// The process id of the service itself.
    pub(crate) fn pid(&self) -> u32 {
        self.service
    }

    /// Waits until the service answers, or has ended, or takes too long.
    pub(crate) fn ready(&self, mut answers: impl FnMut() -> bool) -> Result<(), Error> {
        if until(START, || self.has_ended().is_some() || answers()) {
            return self.has_ended().map_or(Ok(()), |status| Err(self.report(status)));
        }
        let (log, tail) = (self.log.path.clone(), self.log.tail());
        Err(Error::NotReady { service: self.name, seconds: START.as_secs(), log, tail })
    }

    /// Completes when the service has ended.
    pub(crate) async fn ended(&self) -> Error {
        self.report(self.status().await)
    }

    /// As [`Guard::ended`], with the status alone.
    pub(crate) async fn status(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        status.unwrap_or_default()
    }

    /// How the service has ended, if it has.
    pub(crate) fn has_ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Ends the service as a crash does, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.service).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.has_ended().is_none()) {
            // It can only fail for a process that has just ended.
            let _ = kill_process(pid, Signal::KILL);
            self.gone_within(END);
        }
        self.end()
    }

    /// Asks the service to stop and waits; ends it where it does not.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        let asked = self.orders.as_mut().map(|orders| orders.write_all(b"stop\n"));
        // A pipe that nobody reads belongs to a service that has ended.
        if matches!(asked, Some(Ok(()))) && !self.gone_within(STOP) {
            tracing::warn!(
                service = self.name,
                waited_s = STOP.as_secs(),
                "service does not stop, ending it"
            );
        }
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        self.orders = None;
        if self.gone_within(END) {
            return Ok(());
        }
        Err(Error::Lingering { service: self.name, seconds: END.as_secs(), log: self.log.path.clone() })
    }

    fn gone_within(&self, limit: Duration) -> bool {
        until(limit, || self.has_ended().is_some())
    }

    pub(crate) fn report(&self, status: ExitStatus) -> Error {
        let (log, tail) = (self.log.path.clone(), self.log.tail());
        Error::Ended { service: self.name, status: describe(status), log, tail }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "service outlives its owner");
        }
    }
}

/// One at a time: where pipes cannot be made close-on-exec at once (macOS), a guard started in that moment would hold
/// the other one's pipe open.
pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Waits for the guard in a thread of its own, which ends with it.
fn reap(mut shell: Child) -> watch::Receiver<Option<ExitStatus>> {
    let (tell, ended) = watch::channel(None);
    thread::spawn(move || tell.send_replace(Some(shell.wait().unwrap_or_default())));
    ended
}

/// A shell gives 128 and the signal's number for a service that a signal ended.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) if code > 128 => format!("signal {}", code - 128),
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal} to its guard"),
        (None, None) => "an unknown status".to_owned(),
    }
}
