//! A directory enters; a nats-server with JetStream in it leaves, ready for clients.

use std::env;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
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
pub(crate) const LEFT: [&str; 4] = ["nats", "nats.conf", "nats.log", "nats.port"];
const SIGNALS: Signals = Signals { stop: "TERM", quick: "TERM" };
/// The collector works harder from here on; without it the server was seen to take 1.6 GB.
const MEMORY: (&str, &str) = ("GOMEMLIMIT", "1GiB");

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
        port::launch(&dir.join("nats.port"), |port| {
            let monitor = port::free()?;
            let mut command = guard::command(&program, &SIGNALS, leftover);
            command.arg("--config").arg(write_config(dir, port, monitor, &password)?).current_dir(dir);
            if env::var_os(MEMORY.0).is_none() {
                command.env(MEMORY.0, MEMORY.1);
            }
            let guard = Guard::start(NAME, command, &held)?;
            guard.ready(|| is_healthy(monitor).unwrap_or(false))?;
            Ok(Self { guard, port, password: password.clone() })
        })
    }
}

pub(crate) fn url(password: &SecretString, port: u16) -> SecretString {
    format!("nats://millrace:{}@127.0.0.1:{port}", password.expose_secret()).into()
}

/// JSON is valid nats-server configuration and quotes any path. There is an account from the first day, because moving
/// an existing store into one breaks it. The limits of the file store keep their default, which follows the disk.
fn write_config(dir: &Path, port: u16, monitor: u16, password: &SecretString) -> Result<PathBuf, Error> {
    let path = dir.join("nats.conf");
    let config = json!({
        "host": "127.0.0.1",
        "port": port,
        "http": format!("127.0.0.1:{monitor}"),
        "jetstream": { "store_dir": dir.join("nats") },
        "accounts": {
            "MILLRACE": {
                "jetstream": "enabled",
                "users": [{ "user": "millrace", "password": password.expose_secret() }],
            },
        },
    });
    password::write_private(&path, format!("{config:#}\n").as_bytes())?;
    Ok(path)
}

/// Asks the monitor whether JetStream serves.
fn is_healthy(monitor: u16) -> io::Result<bool> {
    let limit = Duration::from_secs(1);
    let mut monitor = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, monitor)), limit)?;
    monitor.set_read_timeout(Some(limit))?;
    monitor.write_all(b"GET /healthz?js-enabled-only=true HTTP/1.0\r\n\r\n")?;
    let mut status = [0; 12];
    monitor.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}
