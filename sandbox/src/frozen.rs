//! Running processes enter; the same ones leave, standing still, and go on when they are let go.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::aside::aside;
use crate::guard::{self, SHELL};
use crate::{Error, command};

/// Stops what each line names, says when it has, and continues all of it when nobody holds the other end of
/// the pipe any more: whoever stopped it has let go, or has died. It notes whom it stops before it does, and
/// nobody else stops anything, so that nothing stands still that nobody would continue.
const SCRIPT: &str = r#"
while read -r pids; do
    stopped="$stopped $pids"
    kill -s STOP $pids
    echo
done
kill -s CONT $stopped
"#;

/// Processes that stand still (SIGSTOP) until this is dropped, or its owner is gone, however it ended.
#[derive(Debug)]
#[must_use = "what is frozen goes on when this is dropped"]
pub struct Frozen {
    shell: Child,
}

impl Frozen {
    /// Stops these processes and their children.
    pub(crate) async fn freeze(pids: Vec<u32>) -> Result<Self, Error> {
        aside(move || Self::stop(pids).map_err(|source| Error::Run { program: SHELL.into(), source })).await
    }

    fn stop(pids: Vec<u32>) -> io::Result<Self> {
        let mut command = Command::new(SHELL);
        // A group of its own, so that Ctrl-C on a terminal does not end it before its duty.
        command.args(["-c", SCRIPT, "freeze"]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut frozen = Self { shell: guard::spawn(&mut command)? };
        let mut answers = frozen.shell.stdout.take().map(BufReader::new);
        // Parents first, and again until there is nobody new: one may have been about to start another child.
        let (mut found, mut stopped) = (pids, Vec::new());
        while !found.is_empty() {
            frozen.order(&found, answers.as_mut())?;
            stopped.append(&mut found);
            found = stopped.iter().flat_map(|&pid| children(pid)).collect();
            found.retain(|pid| !stopped.contains(pid));
        }
        Ok(frozen)
    }

    /// Has the shell stop these, and waits until it has.
    fn order(&mut self, pids: &[u32], answers: Option<&mut BufReader<ChildStdout>>) -> io::Result<()> {
        let line = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        if let (Some(orders), Some(answers)) = (&mut self.shell.stdin, answers) {
            writeln!(orders, "{line}")?;
            answers.read_line(&mut String::new())?;
        }
        Ok(())
    }

    /// Lets them go on, and returns when they do.
    pub async fn thaw(self) {
        aside(move || drop(self)).await;
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

/// The children of a process: from /proc, and where there is none (macOS) from the program that every such
/// system has.
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
