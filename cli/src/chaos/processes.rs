//! The parts of Millrace as processes of their own: this program run again, each with a log file in the
//! directory of the run, in an environment that holds nothing but what is set here.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::Context;
use common::config::Config;
use sandbox::{Endpoints, Process};
use secrecy::{ExposeSecret, SecretString};

use super::network::Network;
use super::plan::{Link, Victim};

/// Settings that make recovery quick. Nothing of them concerns what is promised.
const QUICK: [(&str, &str); 6] = [
    ("MILLRACE_CONSUMER__ACK_WAIT", "2s"),
    ("MILLRACE_NATS__CONNECT_TIMEOUT", "2s"),
    ("MILLRACE_PUBLISH__ACK_TIMEOUT", "1s"),
    // The least that is allowed, so that it can be filled within seconds.
    ("MILLRACE_STREAM__MAX_BYTES", "16777216"),
    ("MILLRACE_TAIL__FINISH_AFTER", "500ms"),
    ("MILLRACE_TAIL__POLL", "250ms"),
];
/// The number of SIGTERM.
const TERM: i32 = 15;

/// A part of Millrace.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Takes files to the stream.
    Tailer,
    /// The same, until every file is closed.
    LastTailer,
    /// Takes rows to the database; from 1.
    Consumer(u16),
    /// Puts back what the database has lost.
    Heal,
    /// Reconciles files and tables in its own way.
    Verify,
}

/// How to run one.
#[derive(Debug)]
pub(super) struct Launcher {
    program: PathBuf,
    dir: PathBuf,
    environment: Vec<(&'static str, SecretString)>,
    nats_url: SecretString,
    database_url: SecretString,
}

impl Launcher {
    /// For processes that use these services and this directory.
    pub(super) fn new(dir: &Path, services: &Endpoints, config: &Config) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("failed to find this program's own file")?;
        let nats_url = services.nats_url.clone().context("there is no nats-server")?;
        let database_url = services.database_url.clone().context("there is no database")?;
        let mut environment = vec![("MILLRACE_LOG__LEVEL", config.log.level.clone().into())];
        environment.extend(QUICK.map(|(name, value)| (name, value.into())));
        // The guard is a shell and has to find its programs.
        environment.extend(std::env::var("PATH").ok().map(|path| ("PATH", path.into())));
        Ok(Self { program, dir: dir.to_owned(), environment, nats_url, database_url })
    }

    /// Runs it. Producer and consumers reach the services through the `network`.
    pub(super) async fn start(&self, part: Part, network: &Network) -> anyhow::Result<Process> {
        let (name, log) = part.names();
        let (dir, mut environment) = (self.dir.clone(), self.environment.clone());
        let (to_nats, to_postgres) = part.links();
        let url = |link: Option<Link>, direct: &SecretString| {
            link.and_then(|link| network.url(link)).unwrap_or_else(|| direct.clone())
        };
        environment.push(("NATS_URL", url(to_nats, &self.nats_url)));
        environment.push(("DATABASE_URL", url(to_postgres, &self.database_url)));
        let set = move |command: &mut std::process::Command| {
            command.arg("--data-dir").arg(&dir).args(part.arguments()).current_dir(&dir).env_clear();
            command.envs(environment.iter().map(|(name, value)| (name, value.expose_secret())));
        };
        let started = Process::start(name, &self.program, &self.dir.join(log), set).await;
        started.with_context(|| format!("failed to start the {name}"))
    }
}

impl Part {
    pub(super) fn of(victim: Victim) -> Option<Self> {
        match victim {
            Victim::Producer => Some(Self::Tailer),
            Victim::Consumer(number) => Some(Self::Consumer(number)),
            Victim::Nats | Victim::Postgres => None,
        }
    }
}

impl Part {
    /// The connections that go through a proxy, to the broker and to the database.
    fn links(self) -> (Option<Link>, Option<Link>) {
        match self {
            Self::Tailer | Self::LastTailer => (Some(Link::ProducerToNats), None),
            Self::Consumer(number) => {
                (Some(Link::ConsumerToNats(number)), Some(Link::ConsumerToPostgres(number)))
            }
            Self::Heal | Self::Verify => (None, None),
        }
    }

    /// As errors call it, and its log file.
    fn names(self) -> (&'static str, String) {
        match self {
            Self::Tailer | Self::LastTailer => ("producer", "producer.log".to_owned()),
            Self::Consumer(number) => ("consumer", format!("{}.log", replica(number))),
            Self::Heal => ("heal", "heal.log".to_owned()),
            Self::Verify => ("verify", "verify.log".to_owned()),
        }
    }

    fn arguments(self) -> Vec<String> {
        let words = match self {
            Self::Tailer => "producer tail".to_owned(),
            Self::LastTailer => "producer tail --once".to_owned(),
            Self::Consumer(number) => format!("consumer run --replica {}", replica(number)),
            Self::Heal => "heal".to_owned(),
            Self::Verify => "verify".to_owned(),
        };
        words.split_whitespace().map(str::to_owned).collect()
    }
}

/// A replica's name in `batches`.
pub(super) fn replica(number: u16) -> String {
    format!("c{number}")
}

/// Whether SIGTERM itself ended it, by the shell's word or by the system's.
pub(super) fn is_ended_by_term(status: ExitStatus) -> bool {
    status.code() == Some(128 + TERM) || status.signal() == Some(TERM)
}

/// How a process ended, in words.
pub(super) fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) if code > 128 => format!("signal {}", code - 128),
        Some(code) => format!("exit status {code}"),
        None => status.to_string(),
    }
}
