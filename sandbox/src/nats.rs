//! A directory enters; a nats-server with JetStream in it leaves, ready for clients.

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::aside::aside;
use crate::error::failed;
use crate::guard::{self, Guard, Signals};
use crate::log::Held;
use crate::progress::Progress;
use crate::{Error, Options, locate, password, port};

pub(crate) const NAME: &str = "nats-server";
pub(crate) const LEFT: [&str; 3] = ["nats.conf", "nats.log", "nats.port"];
/// Where messages are kept.
pub(crate) const STORE: &str = "nats";
const SIGNALS: Signals = Signals { stop: "TERM", quick: "TERM" };
/// The collector works harder from here on; without it the server was seen to take 1.6 GB.
const MEMORY: (&str, &str) = ("GOMEMLIMIT", "1GiB");

const USER: &str = "millrace";
/// How long an answer about health may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A private nats-server. Dropping it ends the server and waits for that, for milliseconds.
#[derive(Debug)]
pub struct Nats {
    pub(crate) guard: Guard,
    port: u16,
    password: SecretString,
}

impl Nats {
    /// Starts a nats-server in a directory of its own; what an earlier one left there is kept, the port too where it
    /// is still free.
    pub async fn start(options: &Options, dir: &Path) -> Result<Self, Error> {
        let (options, dir) = (options.clone(), dir.to_owned());
        aside(move || Self::open(&options, &dir, None, &Progress::default())).await
    }

    /// The URL for clients, with user and password.
    pub fn url(&self) -> SecretString {
        url(&self.password, self.port)
    }

    /// The process id of the server itself.
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
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
        let program = locate::nats_server(options, progress)?;
        let password = password::of(dir)?;
        let held = Held::take(NAME, dir.join("nats.log"))?;
        private_dir(&dir.join(STORE))?;
        port::launch(&dir.join("nats.port"), |port| {
            let mut command = guard::command(&program, &SIGNALS, leftover);
            command.arg("--config").arg(write_config(dir, port, &password)?).current_dir(dir);
            if env::var_os(MEMORY.0).is_none() {
                command.env(MEMORY.0, MEMORY.1);
            }
            let guard = Guard::start(NAME, command, &held)?;
            guard.ready(|| is_healthy(port, &password).unwrap_or(false))?;
            Ok(Self { guard, port, password: password.clone() })
        })
    }
}

pub(crate) fn url(password: &SecretString, port: u16) -> SecretString {
    format!("nats://{USER}:{}@127.0.0.1:{port}", password.expose_secret()).into()
}

/// Makes a directory that only its owner can enter, also where an earlier version has left it open.
fn private_dir(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(failed("create", dir))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed("protect", dir))
}

/// JSON is valid nats-server configuration and quotes any path. There is an account from the first day, because moving
/// an existing store into one breaks it. The limits of the file store keep their default, which follows the disk.
fn write_config(dir: &Path, port: u16, password: &SecretString) -> Result<PathBuf, Error> {
    let path = dir.join("nats.conf");
    let config = json!({
        "host": "127.0.0.1",
        "port": port,
        "jetstream": { "store_dir": dir.join(STORE) },
        "accounts": {
            "MILLRACE": {
                "jetstream": "enabled",
                "users": [{ "user": USER, "password": password.expose_secret() }],
            },
        },
    });
    password::write_private(&path, format!("{config:#}\n").as_bytes())?;
    Ok(path)
}

/// Asks as a client whether JetStream serves: a monitoring port would answer every user of the machine.
fn is_healthy(port: u16, password: &SecretString) -> io::Result<bool> {
    let mut server = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    server.set_read_timeout(Some(PATIENCE))?;
    let account = json!({
        "verbose": false,
        "headers": true,
        "no_responders": true,
        "user": USER,
        "pass": password.expose_secret(),
    });
    let ask = format!("CONNECT {account}\r\nSUB healthy 1\r\nPUB $JS.API.INFO healthy 0\r\n\r\n");
    server.write_all(ask.as_bytes())?;
    for line in BufReader::new(server).lines() {
        let line = line?;
        // What JetStream says; where it does not serve yet, only headers come, or an error.
        if line.starts_with('{') {
            return Ok(line.contains("\"memory\"") && !line.contains("\"error\""));
        }
        if line.starts_with("HMSG") || line.starts_with("-ERR") {
            return Ok(false);
        }
    }
    Ok(false)
}
