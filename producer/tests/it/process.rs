//! The program `producer` as a process of its own, which can be killed as a machine kills it.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use common::config::{Config, OnClose};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use tokio::process::{Child, Command};

use crate::test_env::{TestEnv, until};

/// Longer than any of them takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A producer that runs. It is killed when it is dropped.
pub(crate) struct Producer {
    child: Child,
}

impl TestEnv {
    /// `producer` with these arguments, on the directories and the server of this env.
    pub(crate) fn producer(&self, arguments: &[&str]) -> Producer {
        self.producer_that_dies_at("", arguments)
    }

    /// The same, killed as by `kill -9` when it reaches this point for the first time, or as often as `POINT:N` says.
    pub(crate) fn producer_that_dies_at(&self, point: &str, arguments: &[&str]) -> Producer {
        self.producer_with::<&str>(&[], point, arguments)
    }

    /// The same, with more of an environment.
    pub(crate) fn producer_with<V: AsRef<OsStr>>(
        &self,
        environment: &[(&str, V)],
        point: &str,
        arguments: &[&str],
    ) -> Producer {
        let said = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let Config { nats, data_dir, tail, publish, .. } = &self.config;
        let time = |time| humantime::format_duration(time).to_string();
        let on_close = match tail.on_close {
            OnClose::Keep => "keep",
            OnClose::Archive => "archive",
            OnClose::Delete => "delete",
        };
        let child = Command::new(env!("CARGO_BIN_EXE_producer"))
            .args(arguments)
            .env_clear()
            .current_dir(self.aside("."))
            .env("NATS_URL", nats.url.as_ref().unwrap().expose_secret())
            .env("MILLRACE_DATA_DIR", data_dir)
            .env("MILLRACE_HEALTH__ENABLED", "false")
            .env("MILLRACE_TAIL__POLL", time(tail.poll))
            .env("MILLRACE_TAIL__FINISH_AFTER", time(tail.finish_after))
            .env("MILLRACE_TAIL__CHECKPOINT_EVERY", time(tail.checkpoint_every))
            .env("MILLRACE_TAIL__ON_CLOSE", on_close)
            .env("MILLRACE_TAIL__ARCHIVE_DIR", self.config.archive_dir())
            .env("MILLRACE_PUBLISH__ACK_TIMEOUT", time(publish.ack_timeout))
            .env("FAULT_POINT", point)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Producer { child }
    }

    /// `producer tail`, which is held at `point` until what this returns is dropped.
    pub(crate) fn producer_held_at(&self, point: &str) -> (Producer, Hold) {
        let file = self.aside("hold");
        fs::write(&file, "").unwrap();
        let producer = self.producer_that_dies_at(&format!("{point}:{}", file.display()), &["tail"]);
        (producer, Hold(file))
    }

    /// What all producers on these directories have said.
    pub(crate) fn log(&self) -> PathBuf {
        self.config.data_dir.join("producer.log")
    }
}

/// Keeps a producer from passing a point.
pub(crate) struct Hold(PathBuf);

impl Hold {
    /// Waits until the point is reached.
    pub(crate) async fn reached(&self) {
        until("the producer is held", async || self.0.with_extension("reached").exists()).await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

impl Producer {
    /// Waits for it to end.
    pub(crate) async fn end(mut self) -> ExitStatus {
        tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it ends in time").unwrap()
    }

    /// Waits until the point is reached at which it dies.
    pub(crate) async fn dies(self) {
        let status = self.end().await;
        assert_eq!(status.signal(), Some(9), "it was to be killed, and ended with {status}");
    }

    /// Kills it where it is.
    pub(crate) async fn kill(self) {
        self.signal(Signal::KILL);
        self.end().await;
    }

    /// Lets it finish what it holds. One that had not begun, or has no broker yet, says so by its exit code.
    pub(crate) async fn drain(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end().await
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        kill_process(pid, signal).unwrap();
    }
}
