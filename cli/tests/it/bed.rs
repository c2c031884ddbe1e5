//! What a test stands on: a working directory of its own, the binary, and its answers.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_nats::jetstream;
use rustix::process::{Pid, Signal, test_kill_process};
pub(crate) use sandbox::testing::{Ended, Process, until};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// Variables that would change what the binary does.
const CUSTOMARY: [&str; 10] = [
    "DATABASE_URL",
    "DATABASE_PASSWORD_FILE",
    "NATS_URL",
    "NATS_PASSWORD_FILE",
    "LOG_LEVEL",
    "RUST_LOG",
    "MIN_EVENTS",
    "MAX_EVENTS",
    "SLEEP_INTERVAL",
    "GENERATE",
];

pub(crate) struct Bed {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

impl Bed {
    /// A directory that other users can pass through, as a user's own is: PostgreSQL does not run as root.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        Self { dir, variables: Vec::new() }
    }

    /// With services that the test has started.
    pub(crate) fn with_services(nats: &SecretString, database: &SecretString) -> Self {
        Self::new().with("NATS_URL", nats.expose_secret()).with("DATABASE_URL", database.expose_secret())
    }

    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The data directory; its name makes trouble where paths are handled without care.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("my data")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A complete file in a directory, as an upload ends.
    pub(crate) fn drop_file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.write(&format!("{name}.part"), bytes);
        fs::rename(self.path(&format!("{name}.part")), self.path(name)).unwrap();
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(["--data-dir", "my data"]).args(arguments).current_dir(&self.dir);
        let own = std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("MILLRACE_"));
        for name in own.chain(CUSTOMARY.map(str::to_owned)) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs `millrace` to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end().await
    }

    /// As [`Bed::run`], with more variables.
    pub(crate) async fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        Process::start(command).end().await
    }

    /// As [`Bed::run`], with a variable that need not be text.
    pub(crate) async fn run_with_os(&self, name: &str, value: &OsStr, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.env(name, value);
        Process::start(command).end().await
    }

    /// Starts `millrace`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        Process::start(self.command(arguments))
    }

    /// What `millrace psql` prints for one statement.
    pub(crate) async fn sql(&self, statement: &str) -> String {
        let ended = self.run(&["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.out.trim().to_owned()
    }

    /// Waits until a statement gives this on the services of a running `up`.
    pub(crate) async fn until_sql(&self, statement: &str, expected: &str) {
        // Asked before, psql would start services of its own.
        let running = self.data().join("sandbox/running.json");
        until("services run", async || running.exists()).await;
        until(&format!("{statement} gives {expected}"), async || {
            let asked = self.run(&["psql", "-XAtc", statement]).await;
            asked.code == Some(0) && asked.out.trim() == expected
        })
        .await;
    }

    /// Rows in all files and in each table: read, events, duplicates, corrupt.
    pub(crate) async fn totals(&self) -> [u64; 4] {
        let row = self
            .sql(
                "select (select coalesce(sum(rows_read), 0) from files), (select count(*) from events),
                    (select count(*) from duplicates), (select count(*) from corrupt_records)",
            )
            .await;
        let counts: Vec<u64> = row.split('|').map(|count| count.parse().unwrap()).collect();
        counts.try_into().unwrap()
    }

    /// Kills a running `up`, and waits until its services have ended too. What it leaves would be taken for the next
    /// one's.
    pub(crate) async fn kill(&self, up: Process) {
        let services = self.services();
        up.signal(Signal::KILL);
        up.end().await;
        until("services end with it", async || !services.iter().any(|(pid, _)| is_alive(*pid))).await;
        fs::remove_file(self.data().join("sandbox/running.json")).unwrap();
    }

    /// The URL of the nats-server of a running `up`.
    pub(crate) fn nats(&self) -> SecretString {
        sandbox::attach(&self.data()).unwrap().unwrap().nats_url.unwrap()
    }

    /// The services of a running `up`: their process ids and ports.
    pub(crate) fn services(&self) -> Vec<(Pid, u16)> {
        let json = fs::read(self.data().join("sandbox/running.json")).unwrap();
        let running: Value = serde_json::from_slice(&json).unwrap();
        let number = |value: &Value| value.as_i64().unwrap();
        ["nats", "postgres"]
            .map(|name| &running[name])
            .map(|service| {
                let pid = Pid::from_raw(i32::try_from(number(&service["pid"])).unwrap()).unwrap();
                (pid, u16::try_from(number(&service["port"])).unwrap())
            })
            .to_vec()
    }
}

/// A client of the broker.
pub(crate) async fn jetstream(url: &SecretString) -> jetstream::Context {
    let config = common::config::Nats { url: Some(url.clone()), ..common::config::Nats::default() };
    common::nats::connect(&config, "test", &common::Shutdown::new()).await.unwrap().jetstream
}

/// How many messages the stream holds.
pub(crate) async fn messages(jetstream: &jetstream::Context) -> u64 {
    match jetstream.get_stream(common::stream::STREAM).await {
        Ok(events) => events.cached_info().state.messages,
        Err(_) => 0,
    }
}

pub(crate) fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// The header of [`rows`].
pub(crate) const HEADER: &str = "event_id,event_type,event_timestamp,customer_id,product_name,price\n";

/// A header and good rows.
pub(crate) fn rows(numbers: std::ops::RangeInclusive<u32>) -> String {
    let row = |number| {
        format!("id-{number},view,2024-03-13T10:21:14Z,customer {number},A thing,{}.50\n", number % 300)
    };
    HEADER.to_owned() + &numbers.map(row).collect::<String>()
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Files in a directory, by name.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// How many rows the generated files in a directory have: their lines without the headers.
pub(crate) fn generated_rows(dir: &Path) -> u64 {
    let lines = |name: &String| {
        // A spoilt row may hold bytes that are no text.
        let bytes = fs::read(dir.join(name)).unwrap();
        String::from_utf8_lossy(&bytes).lines().count() as u64 - 1
    };
    names(dir).iter().filter(|name| has_extension(name, "csv")).map(lines).sum()
}

pub(crate) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// A copy of a directory with owners and modes: services do not run as root.
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success() && !names(to).is_empty(), "{} is copied", from.display());
}
