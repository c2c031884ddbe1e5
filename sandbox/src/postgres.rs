//! A directory enters; a PostgreSQL with its cluster in it leaves, ready for connections.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret as _, SecretString};

use crate::aside::aside;
use crate::cluster::{self, Cluster};
use crate::error::failed;
use crate::guard::{self, Guard, Signals};
use crate::locate::{self, Programs};
use crate::log::Held;
use crate::progress::Progress;
use crate::{Error, Options, command, password, port};

pub(crate) const NAME: &str = "PostgreSQL";
pub(crate) const LEFT: [&str; 3] = ["postgres.secret", "postgres.log", "postgres.port"];
pub(crate) const PARTIAL: &str = "postgres.partial";
/// A copy of the cluster from an earlier time.
pub(crate) const COPY: &str = "postgres.copy";
/// A fast shutdown writes a checkpoint; an immediate one leaves that to the recovery at the next start.
const SIGNALS: Signals = Signals { stop: "INT", quick: "QUIT" };
/// Room for writing much at once. What makes a commit durable stays at its defaults, which are on: `fsync`,
/// `synchronous_commit`, `full_page_writes`. TCP only: a path below the data directory can be too long for a socket.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=100",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "checkpoint_timeout=15min",
    "logging_collector=off",
];

/// A private PostgreSQL. Dropping it ends the server, for the next start to recover.
#[derive(Debug)]
pub struct Postgres {
    pub(crate) guard: Guard,
    port: u16,
    password: SecretString,
    bin: PathBuf,
}

impl Postgres {
    /// Starts a PostgreSQL in a directory of its own; the cluster of an earlier one is kept, the port too where it is
    /// still free.
    pub async fn start(options: &Options, dir: &Path) -> Result<Self, Error> {
        let (options, dir) = (options.clone(), dir.to_owned());
        aside(move || Self::open(&options, &dir, None, &Progress::default())).await
    }

    /// The URL of database `millrace`, with user and password.
    pub fn url(&self) -> SecretString {
        url(&self.password, self.port, "millrace")
    }

    /// The process id of the server itself.
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the programs of this PostgreSQL lie.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Makes one more database and gives its URL.
    pub async fn create_database(&self, name: &str) -> Result<SecretString, Error> {
        let mut createdb = Command::new(self.bin.join("createdb"));
        cluster::clear(&mut createdb);
        createdb.env("PGPASSWORD", self.password.expose_secret());
        createdb.args([
            "--host=127.0.0.1",
            "--username=millrace",
            "--maintenance-db=postgres",
            "--no-password",
        ]);
        createdb.arg(format!("--port={}", self.port)).arg("--").arg(name);
        aside(move || command::run(&mut createdb)).await?;
        Ok(url(&self.password, self.port, name))
    }

    /// Stops the server in good order.
    pub async fn stop(mut self) -> Result<(), Error> {
        aside(move || self.guard.stop()).await
    }

    pub(crate) fn open(
        options: &Options,
        dir: &Path,
        leftover: Option<&Path>,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let dir = &fs::canonicalize(dir).map_err(failed("find", dir))?;
        let password = password::of(dir)?;
        let held = Held::take(NAME, dir.join("postgres.log"))?;
        let cluster = Cluster::of(dir)?;
        let programs = fitting(options, &cluster, progress)?;
        if cluster.made_by()?.is_none() {
            cluster.create(&programs, &password, held.lend()?)?;
        }
        cluster.remove_stale_lock()?;
        port::launch(&dir.join("postgres.port"), |port| {
            let mut command = guard::command(&programs.bin.join("postgres"), &SIGNALS, leftover);
            command.arg("-D").arg(&cluster.path).arg("-p").arg(port.to_string());
            command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
            cluster.prepare(&mut command);
            let guard = Guard::start(NAME, command, &held)?;
            guard.ready(|| is_ready(&programs, port))?;
            Ok(Self { guard, port, password: password.clone(), bin: programs.bin.clone() })
        })
    }
}

pub(crate) fn url(password: &SecretString, port: u16, database: &str) -> SecretString {
    format!("postgres://millrace:{}@127.0.0.1:{port}/{database}", password.expose_secret()).into()
}

/// The programs for the cluster: those of the major version that made it.
fn fitting(options: &Options, cluster: &Cluster, progress: &Progress) -> Result<Programs, Error> {
    let made_by = cluster.made_by()?;
    let programs = locate::postgres(options, made_by, progress)?;
    match made_by {
        Some(made_by) if made_by != programs.version.major => Err(Error::OtherMajor {
            cluster: cluster.path.clone(),
            made_by,
            available: format!("{NAME} {}", programs.version),
        }),
        _ => Ok(programs),
    }
}

fn is_ready(programs: &Programs, port: u16) -> bool {
    let mut pg_isready = Command::new(programs.bin.join("pg_isready"));
    cluster::clear(&mut pg_isready);
    pg_isready.args(["--quiet", "--host=127.0.0.1", "--dbname=postgres"]).arg(format!("--port={port}"));
    pg_isready.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}
