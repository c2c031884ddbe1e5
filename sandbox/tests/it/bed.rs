//! What the tests share: a data directory, SQL through psql, waiting with a deadline.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sandbox::{Options, Sandbox, Services};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

/// A data directory that another user can pass through, as a user's own is.
pub(crate) struct Bed {
    dir: TempDir,
    pub(crate) options: Options,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::named("data")
    }

    pub(crate) fn named(name: &str) -> Self {
        let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        let options = Options::new(dir.path().join(name));
        Self { dir, options }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.options.data_dir.join("sandbox").join(name)
    }

    pub(crate) async fn start(&self) -> Sandbox {
        Sandbox::start(&self.options, Services::BOTH).await.unwrap()
    }

    /// Runs SQL on a running sandbox's database.
    pub(crate) async fn sql(&self, sandbox: &Sandbox, sql: &str) -> String {
        query(&self.options, sandbox.endpoints().database_url.as_ref().unwrap(), sql).await
    }
}

pub(crate) async fn query(options: &Options, url: &SecretString, sql: &str) -> String {
    let psql = sandbox::psql(options).await.unwrap();
    let output =
        Command::new(psql).args(["-XAtq", "-d", url.expose_secret(), "-c", sql]).output().expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The first line of a nats-server's greeting, which names its version and whether JetStream serves.
pub(crate) fn greeting(port: u16) -> std::io::Result<String> {
    use std::io::BufRead as _;
    let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    let mut line = String::new();
    std::io::BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// Waits for a condition, with a deadline.
pub(crate) fn eventually(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn is_alive(pid: u32) -> bool {
    Command::new("/bin/sh")
        .args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", &pid.to_string()])
        .status()
        .unwrap()
        .success()
}

pub(crate) fn signal(name: &str, pid: u32) {
    let status =
        Command::new("/bin/sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Process ids from the state file.
pub(crate) fn pids(bed: &Bed) -> Vec<u32> {
    let json = std::fs::read_to_string(bed.file("running.json")).unwrap();
    let pids = json.lines().filter_map(|line| line.trim().strip_prefix("\"pid\": "));
    pids.map(|pid| pid.trim_end_matches(',').parse().unwrap()).collect()
}
