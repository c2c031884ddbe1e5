//! The program `consumer` as a process of its own, which can be killed as a machine kills it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::test_env::TestEnv;

/// Longer than any of them takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A consumer that runs. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it finds no configuration.
    _dir: TempDir,
}

impl TestEnv {
    /// `consumer run` on the services of this env, with batches of `rows` rows. What is not acknowledged comes again
    /// after a second.
    pub(crate) fn process(&self, rows: usize) -> Process {
        self.process_that_dies_at("", rows)
    }

    /// The same, killed as by `kill -9` when it reaches this point for the first time, or as often as `POINT:N` says.
    pub(crate) fn process_that_dies_at(&self, point: &str, rows: usize) -> Process {
        self.process_with(&[("FAULT_POINT", point)], rows, Stdio::piped())
    }

    /// The same, with these variables in its environment, and its log there.
    pub(crate) fn process_with(&self, variables: &[(&str, &str)], rows: usize, log: Stdio) -> Process {
        let dir = tempfile::tempdir().unwrap();
        let url = |url: &Option<SecretString>| url.as_ref().unwrap().expose_secret().to_owned();
        let child = Command::new(env!("CARGO_BIN_EXE_consumer"))
            .arg("run")
            .env_clear()
            .current_dir(&dir)
            .env("NATS_URL", url(&self.config.nats.url))
            .env("DATABASE_URL", url(&self.config.database.url))
            .env("MILLRACE_HEALTH__ENABLED", "false")
            .env("MILLRACE_CONSUMER__ACK_WAIT", "1s")
            .env("MILLRACE_BATCH__ROWS", rows.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Process { child, _dir: dir }
    }
}

impl Process {
    /// Waits for it to end; gives what it said, too.
    pub(crate) async fn end(self) -> (ExitStatus, String) {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait_with_output());
        let output = ended.await.expect("it ends in time").unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }

    /// Waits until the point is reached at which it dies.
    pub(crate) async fn dies(self) {
        let (status, said) = self.end().await;
        assert_eq!(status.signal(), Some(9), "it was to be killed, and ended with {status}: {said}");
    }

    /// Lets it finish what it holds.
    pub(crate) async fn drains(self) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
        let (status, said) = self.end().await;
        assert!(status.success(), "{said}");
    }
}
