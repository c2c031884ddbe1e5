//! The user who runs PostgreSQL, which refuses to run as root.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use crate::error::failed;
use crate::{Error, command};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The user to become: none for a plain user, for root `postgres` where it exists, else `nobody`.
    pub(crate) fn unprivileged() -> Result<Option<Self>, Error> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let account = Self::named("postgres").or_else(|_| Self::named("nobody"))?;
        Ok(Some(account))
    }

    fn named(user: &str) -> Result<Self, Error> {
        let id = |flag: &str| -> Result<u32, Error> {
            let printed = command::run(Command::new("id").args([flag, user]))?;
            printed.trim().parse().map_err(|_| Error::Unusable {
                program: "id".into(),
                reason: format!("it printed {:?} for user {user}", printed.trim()),
            })
        };
        Ok(Self { uid: id("-u")?, gid: id("-g")? })
    }

    pub(crate) fn owner_of(path: &Path) -> Result<Self, Error> {
        let about = fs::metadata(path).map_err(failed("examine", path))?;
        Ok(Self { uid: about.uid(), gid: about.gid() })
    }

    /// Whether this user can reach what lies in a directory.
    pub(crate) fn may_enter(self, dir: &Path) -> bool {
        dir.ancestors().all(|dir| {
            fs::metadata(dir).is_ok_and(|about| {
                about.mode() & 0o001 != 0 || (about.uid() == self.uid && about.mode() & 0o100 != 0)
            })
        })
    }

    pub(crate) fn give(self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(failed("change the owner of", path))
    }

    pub(crate) fn run(self, command: &mut Command) {
        // This also drops root's supplementary groups.
        command.uid(self.uid).gid(self.gid);
    }
}

/// Creates a directory, and those above it, which every user can enter; existing ones stay as they are.
pub(crate) fn create_passable(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        create_passable(parent)?;
    }
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        created => created.map_err(failed("create", dir))?,
    }
    fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(failed("make passable", dir))
}
