//! Who owns a data directory, and what runs there, for other processes to attach.
//!
//! The owner holds a lock on `sandbox/lock` while it lives; the kernel releases it however the owner ends. What
//! `running.json` says is true while the lock is held.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::failed;
use crate::wait::until;
use crate::{Error, Services, cluster, nats, password, postgres};

pub(crate) const LEFT: [&str; 5] =
    ["running.json", "running.partial", "password", "password.partial", "lock"];
/// A process that only looks holds the lock for an instant; an owner holds it on.
const LOOK: Duration = Duration::from_millis(300);

/// Where clients connect; URLs carry user and password.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// The nats-server, unless an external one is used.
    pub nats_url: Option<SecretString>,
    /// The database, unless an external one is used.
    pub database_url: Option<SecretString>,
}

/// The services of a running process in this data directory, or none where nothing runs.
pub fn attach(data_dir: &Path) -> Result<Option<Endpoints>, Error> {
    let Some(running) = Running::find(&directory(data_dir))? else { return Ok(None) };
    let password = password::read(&running.password)?;
    Ok(Some(Endpoints {
        nats_url: running.nats.map(|service| nats::url(&password, service.port)),
        database_url: running.postgres.map(|service| postgres::url(&password, service.port, "millrace")),
    }))
}

/// The programs of the PostgreSQL that runs in a data directory.
pub(crate) fn postgres_bin(data_dir: &Path) -> Option<PathBuf> {
    Running::find(&directory(data_dir)).ok()??.postgres_bin
}

pub(crate) fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("sandbox")
}

/// Whether services that ran in a data directory have left there what these would go on with.
pub fn holds(data_dir: &Path, services: Services) -> bool {
    let dir = directory(data_dir);
    let has = |name: &str| fs::symlink_metadata(dir.join(name)).is_ok();
    (!services.nats || has(nats::STORE)) && (!services.postgres || has(cluster::CLUSTER))
}

/// Whether services were ever started there, which leaves a lock with a process id.
pub(crate) fn is_ours(dir: &Path) -> bool {
    let lock = fs::read_to_string(dir.join("lock"));
    lock.is_ok_and(|pid| pid.trim().is_empty() || pid.trim().parse::<u32>().is_ok())
}

/// What `running.json` holds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) password: PathBuf,
    pub(crate) nats: Option<Service>,
    pub(crate) postgres: Option<Service>,
    pub(crate) postgres_bin: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) port: u16,
    pub(crate) pid: u32,
}

impl Running {
    fn find(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join("lock");
        let lock = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", &path))?,
        };
        if lock.try_lock_shared().is_ok() {
            return Ok(None);
        }
        let file = dir.join("running.json");
        match fs::read(&file) {
            Ok(json) => {
                serde_json::from_slice(&json).map(Some).map_err(|error| failed("read", file)(error.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::Starting { pid: pid_in(&path), dir: dir.to_owned() })
            }
            Err(error) => Err(failed("read", file)(error)),
        }
    }
}

/// The right to run services in a directory; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Ownership {
    dir: PathBuf,
    _lock: File,
}

impl Ownership {
    pub(crate) fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        // Who can open it can lock it.
        let open =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let mut lock = open.map_err(failed("open", &path))?;
        lock.set_permissions(Permissions::from_mode(0o600)).map_err(failed("protect", &path))?;
        if !until(LOOK, || lock.try_lock().is_ok()) {
            return Err(Error::Owned { pid: pid_in(&path), dir: dir.to_owned() });
        }
        let mut sign = || {
            lock.set_len(0)?;
            writeln!(lock, "{}", std::process::id())
        };
        sign().map_err(failed("write", &path))?;
        let ownership = Self { dir: dir.to_owned(), _lock: lock };
        ownership.withdraw()?;
        Ok(ownership)
    }

    /// The state directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tells other processes what runs.
    pub(crate) fn announce(&self, running: &Running) -> Result<(), Error> {
        let (partial, file) = (self.dir.join("running.partial"), self.dir.join("running.json"));
        let json =
            serde_json::to_vec_pretty(running).map_err(|error| failed("write", &file)(error.into()))?;
        password::write_private(&partial, &json)?;
        fs::rename(&partial, &file).map_err(failed("create", &file))
    }

    /// Nothing runs (any more).
    pub(crate) fn withdraw(&self) -> Result<(), Error> {
        let file = self.dir.join("running.json");
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", file)(error)),
            _ => Ok(()),
        }
    }
}

fn pid_in(lock: &Path) -> String {
    let text = fs::read_to_string(lock).unwrap_or_default();
    if text.trim().is_empty() { "(unknown)".to_owned() } else { text.trim().to_owned() }
}
