//! The program `consumer` as a process of its own, which can be killed as a machine kills it.

use sandbox::testing::Process;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Command;

use crate::test_env::TestEnv;

impl TestEnv {
    /// `consumer run` on the services of this env, with batches of `rows` rows. What is not acknowledged comes again
    /// after a second.
    pub(crate) fn process(&self, rows: usize) -> Process {
        self.process_that_dies_at("", rows)
    }

    /// The same, killed as by `kill -9` when it reaches this point for the first time, or as often as `POINT:N` says.
    pub(crate) fn process_that_dies_at(&self, point: &str, rows: usize) -> Process {
        self.process_with(&[("FAULT_POINT", point)], rows)
    }

    /// The same, with these variables in its environment.
    pub(crate) fn process_with(&self, variables: &[(&str, &str)], rows: usize) -> Process {
        let url = |url: &Option<SecretString>| url.as_ref().unwrap().expose_secret().to_owned();
        let mut command = Command::new(env!("CARGO_BIN_EXE_consumer"));
        command
            .arg("run")
            .env_clear()
            // Where it finds no configuration.
            .current_dir(std::env::temp_dir())
            .env("NATS_URL", url(&self.config.nats.url))
            .env("DATABASE_URL", url(&self.config.database.url))
            .env("MILLRACE_HEALTH__ENABLED", "false")
            .env("MILLRACE_CONSUMER__ACK_WAIT", "1s")
            .env("MILLRACE_BATCH__ROWS", rows.to_string())
            .envs(variables.iter().copied());
        Process::start(command)
    }
}
