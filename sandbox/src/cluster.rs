//! A PostgreSQL data directory: where it lies, who owns it, which version made it.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::account::{self, Account};
use crate::error::failed;
use crate::hex::hex;
use crate::locate::Programs;
use crate::{Error, command, password};

/// The cluster, or a link to it; and the one that is being made.
pub(crate) const CLUSTER: &str = "postgres";

/// Where root's clusters go when their directory cannot be entered by the user who runs them.
const ELSEWHERE: &str = "/var/lib/millrace/clusters";
/// The extension of a cluster's copy.
const COPY: &str = "copy";
const CREATE_DATABASE: &[u8] = b"CREATE DATABASE millrace\n";

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) path: PathBuf,
    account: Option<Account>,
}

impl Cluster {
    /// The cluster of a directory: `postgres` in it, or what that links to.
    pub(crate) fn of(dir: &Path) -> Result<Self, Error> {
        let inside = dir.join(CLUSTER);
        let Some(account) = Account::unprivileged()? else { return Ok(Self { path: inside, account: None }) };
        let path = match fs::read_link(&inside) {
            Ok(elsewhere) => elsewhere,
            Err(_) if inside.exists() || account.may_enter(dir) => inside,
            Err(_) => {
                let path = elsewhere(dir);
                symlink(&path, &inside).map_err(failed("link", inside))?;
                path
            }
        };
        let account = if path.exists() { Account::owner_of(&path)? } else { account };
        Ok(Self { path, account: Some(account) })
    }

    /// The major version that made the cluster, if there is one.
    pub(crate) fn made_by(&self) -> Result<Option<u32>, Error> {
        let file = self.path.join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", file)(error)),
        }
    }

    /// Makes the cluster and its database beside its place and renames it, so that it exists whole or not at all.
    ///
    /// The lock is lent to `initdb`, so that nobody takes it while one whose owner was killed is still writing.
    pub(crate) fn create(
        &self,
        programs: &Programs,
        password: &SecretString,
        lock: File,
    ) -> Result<(), Error> {
        let partial = self.path.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed("remove", &partial))?;
        }
        account::create_passable(&partial)?;
        let secret = self.path.with_extension("secret");
        password::write(&secret, password)?;
        if let Some(account) = self.account {
            account.give(&partial)?;
            account.give(&secret)?;
        }
        let mut initdb = self.command(&programs.bin.join("initdb"));
        // What is not synced here is synced when the single-user server below shuts down.
        initdb.args([
            "--username=millrace",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        let made =
            command::run(initdb.stdin(lock).arg("--pwfile").arg(&secret).arg("--pgdata").arg(&partial));
        fs::remove_file(&secret).map_err(failed("remove", &secret))?;
        made?;
        self.create_database(programs, &partial)?;
        fs::rename(&partial, &self.path).map_err(failed("create", &self.path))
    }

    /// In single-user mode, which spares a start and a stop.
    fn create_database(&self, programs: &Programs, partial: &Path) -> Result<(), Error> {
        let program = programs.bin.join("postgres");
        let mut command = self.command(&program);
        command.arg("--single").arg("-D").arg(partial).arg("postgres");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = || -> io::Result<_> {
            let mut server = command.spawn()?;
            if let Some(mut input) = server.stdin.take() {
                input.write_all(CREATE_DATABASE)?;
            }
            server.wait_with_output()
        };
        let output = run().map_err(|source| Error::Run { program, source })?;
        command::checked("postgres --single", &output).map(drop)
    }

    /// A lock file that a killed server left: the caller holds the log, so no server runs.
    pub(crate) fn remove_stale_lock(&self) -> Result<(), Error> {
        let file = self.path.join("postmaster.pid");
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", file)(error)),
            _ => Ok(()),
        }
    }

    /// Copies the files of a cluster whose server has ended to `postgres.copy` beside it.
    pub(crate) fn copy_beside(&self) -> Result<(), Error> {
        let copy = self.path.with_extension(COPY);
        remove_dir(&copy)?;
        // `cp -a` keeps owner and mode, which PostgreSQL insists on.
        command::run(Command::new("cp").arg("-a").arg(&self.path).arg(&copy)).map(drop)
    }

    /// Deletes the cluster and puts the copy in its place.
    pub(crate) fn put_back(&self) -> Result<(), Error> {
        let copy = self.path.with_extension(COPY);
        fs::metadata(&copy).map_err(failed("find", &copy))?;
        remove_dir(&self.path)?;
        fs::rename(&copy, &self.path).map_err(failed("rename", &copy))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.prepare(&mut command);
        command
    }

    /// As the cluster's owner, from a directory that the owner can enter, untouched by the caller's settings.
    pub(crate) fn prepare(&self, command: &mut Command) {
        clear(command);
        command.current_dir("/");
        if let Some(account) = self.account {
            account.run(command);
        }
    }
}

/// Removes what a user may have set for PostgreSQL's programs, such as `PGHOST`, and has them speak English.
pub(crate) fn clear(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C");
}

/// Deletes the cluster that `dir/postgres` links to, if it does.
pub(crate) fn remove_elsewhere(dir: &Path) -> Result<(), Error> {
    match fs::read_link(dir.join(CLUSTER)) {
        Ok(path) if path == elsewhere(dir) => {
            [path.with_extension("partial"), path.with_extension(COPY), path]
                .iter()
                .try_for_each(|path| remove_dir(path))
        }
        _ => Ok(()),
    }
}

/// Deletes a directory with everything in it; one that does not exist is fine.
pub(crate) fn remove_dir(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn elsewhere(dir: &Path) -> PathBuf {
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    Path::new(ELSEWHERE).join(hex(&digest[..8]))
}
