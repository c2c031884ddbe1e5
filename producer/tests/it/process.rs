//! The program `producer` as a process of its own, which can be killed as a machine kills it.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use common::config::{Config, OnClose};
use sandbox::testing::{Process, until};
use secrecy::ExposeSecret as _;
use tokio::process::Command;

use crate::test_env::TestEnv;

impl TestEnv {
    /// `producer` with these arguments, on the directories and the server of this env.
    pub(crate) fn producer(&self, arguments: &[&str]) -> Process {
        self.producer_that_dies_at("", arguments)
    }

    /// The same, killed as by `kill -9` when it reaches this point for the first time, or as often as `POINT:N` says.
    pub(crate) fn producer_that_dies_at(&self, point: &str, arguments: &[&str]) -> Process {
        self.producer_with::<&str>(&[], point, arguments)
    }

    /// The same, with more of an environment.
    pub(crate) fn producer_with<V: AsRef<OsStr>>(
        &self,
        environment: &[(&str, V)],
        point: &str,
        arguments: &[&str],
    ) -> Process {
        let Config { nats, data_dir, tail, publish, .. } = &self.config;
        let time = |time| humantime::format_duration(time).to_string();
        let on_close = match tail.on_close {
            OnClose::Keep => "keep",
            OnClose::Archive => "archive",
            OnClose::Delete => "delete",
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
        command
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
            .envs(environment.iter().map(|(name, value)| (name, value)));
        Process::logging_to(self.log(), command)
    }

    /// `producer tail`, which is held at `point` until what this returns is dropped.
    pub(crate) fn producer_held_at(&self, point: &str) -> (Process, Hold) {
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
