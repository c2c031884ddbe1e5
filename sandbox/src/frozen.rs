//! Running processes enter; the same ones leave, standing still, and go on when they are let go.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::aside::aside;
use crate::guard::{self, SHELL};
use crate::{Error, command};

/// Stops all that is named, says so, and continues it when nobody holds the other end of the pipe any more: whoever
/// stopped it has let go, or has died.
const SCRIPT: &str = r#"kill -s STOP "$@"; echo; read -r line; kill -s CONT "$@""#;

/// Processes that stand still (SIGSTOP) until this is dropped, or its owner is gone, however it ended.
#[derive(Debug)]
#[must_use = "what is frozen goes on when this is dropped"]
pub struct Frozen {
    shell: Child,
}

impl Frozen {
    /// Stops these processes and their children.
    pub(crate) async fn freeze(pids: Vec<u32>) -> Result<Self, Error> {
        aside(move || {
            let mut stopped = Vec::new();
            let mut found = pids;
            // Parents first, and again until there is nobody new: one may have been about to start another child.
            while !found.is_empty() {
                for pid in found.iter().filter_map(|&pid| raw(pid)) {
                    // It can only fail for a process that has just ended.
                    let _ = kill_process(pid, Signal::STOP);
                }
                stopped.append(&mut found);
                found = stopped.iter().flat_map(|&pid| children(pid)).collect();
                found.retain(|pid| !stopped.contains(pid));
            }
            Self::hold(&stopped)
        })
        .await
    }

    /// Lets them go on, and returns when they do.
    pub async fn thaw(self) {
        aside(move || drop(self)).await;
    }

    fn hold(pids: &[u32]) -> Result<Self, Error> {
        let failed = |source| Error::Run { program: SHELL.into(), source };
        let mut command = Command::new(SHELL);
        command.args(["-c", SCRIPT, "freeze"]).args(pids.iter().map(u32::to_string));
        // A group of its own, so that Ctrl-C on a terminal does not end it before its duty.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut shell = guard::spawn(&mut command).map_err(failed)?;
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut String::new()).map_err(failed)?;
        }
        Ok(Self { shell })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.shell.stdin = None;
        if let Err(error) = self.shell.wait() {
            tracing::warn!(%error, "processes may still stand still");
        }
    }
}

pub(crate) fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// The children of a process: from /proc, and where there is none (macOS) from the program that every such system has.
fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        let printed = command::run(Command::new("pgrep").args(["-P", &parent.to_string()]));
        return printed.unwrap_or_default().lines().filter_map(|pid| pid.parse().ok()).collect();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| parent_of(pid) == Some(parent)).collect()
}

/// The second field behind the name, which is in parentheses and may hold any character (proc(5)).
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind_name = stat.rsplit(|sign| *sign == b')').next()?;
    std::str::from_utf8(behind_name).ok()?.split_whitespace().nth(1)?.parse().ok()
}
