//! A program as a process of its own, which a test can stop, and kill as a machine kills it.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::testing::wait::{ended, until};

/// A program that runs. It is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    /// What it writes goes to files here: a pipe that nobody reads would fill.
    dir: TempDir,
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// And to standard error.
    pub err: String,
}

impl Ended {
    /// What it wrote to standard output, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Process {
    /// Starts `command`.
    pub fn start(command: Command) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory is created");
        let log = dir.path().join("err");
        Self::spawn(command, dir, log)
    }

    /// As [`Process::start`], with standard error at the end of the file `log`.
    pub fn logging_to(log: PathBuf, command: Command) -> Self {
        Self::spawn(command, tempfile::tempdir().expect("a temporary directory is created"), log)
    }

    fn spawn(mut command: Command, dir: TempDir, log: PathBuf) -> Self {
        let file = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Stdio::from(file.expect("a file for what the program writes is opened"))
        };
        command
            .stdin(Stdio::null())
            .stdout(file(&dir.path().join("out")))
            .stderr(file(&log))
            .kill_on_drop(true);
        Self { child: command.spawn().expect("the program starts"), log, dir }
    }

    /// The process id of one that runs.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the program runs")
    }

    /// Sends a signal to one that runs.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).expect("a process has an id");
        kill_process(pid, signal).expect("the program takes signals");
    }

    /// What it has written to standard error so far.
    pub fn err(&self) -> String {
        text(&self.log)
    }

    /// Waits until it has written `words` to standard error.
    pub async fn until_logged(&mut self, words: &str) {
        until(&format!("the program logs \"{words}\""), async || {
            let ended = self.child.try_wait().expect("the program is waited for");
            let logged = self.err();
            assert!(ended.is_none() || logged.contains(words), "it ended without \"{words}\": {logged}");
            logged.contains(words)
        })
        .await;
    }

    /// Waits for its end.
    pub async fn end(mut self) -> Ended {
        let status = ended("the program ends", self.child.wait()).await.expect("the program is waited for");
        let (out, err) = (text(&self.dir.path().join("out")), text(&self.log));
        Ended { code: status.code(), signal: status.signal(), out, err }
    }

    /// Asks it to finish what it holds, and waits for its end.
    pub async fn drain(self) -> Ended {
        self.signal(Signal::TERM);
        self.end().await
    }

    /// Kills it where it is.
    pub async fn kill(self) {
        self.signal(Signal::KILL);
        self.end().await;
    }

    /// Waits until it is killed at the fault point that it was given.
    pub async fn dies(self) {
        let ended = self.end().await;
        assert_eq!(ended.signal, Some(9), "it was to be killed, and ended otherwise: {ended:?}");
    }
}

/// Programs may write bytes that are no text.
fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("what the program wrote is read")).into_owned()
}
