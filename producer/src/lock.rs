//! One tailer a directory: a second one would send every row twice and move files from under the first.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::geteuid;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another producer tails {}; stop it, or give this one directories of its own", dir.display())]
    Taken { dir: PathBuf },
    #[error(
        "{} belongs to user {owner}, and user {us}, who runs this, may not take files out of it: give it to user {us}, \
         run this as user {owner}, or set tail.on_close = \"keep\"",
        dir.display()
    )]
    Foreign { dir: PathBuf, owner: u32, us: u32 },
    #[error("failed to use the directory {}", dir.display())]
    Io {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A directory that is locked until this is dropped, or the process ends.
#[derive(Debug)]
pub(crate) struct Lock(#[cfg_attr(not(test), expect(dead_code, reason = "held for its drop"))] File);

/// How long a lock may outlive its owner: a child process that is being started holds it until its exec.
const LINGERS: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// Makes `dir` if it is missing, and locks it.
pub(crate) async fn take(dir: &Path) -> Result<Lock, Error> {
    let io = |source| Error::Io { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(io)?;
    let file = File::open(dir).map_err(io)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::WouldBlock) if began.elapsed() < LINGERS => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::WouldBlock) => return Err(Error::Taken { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
    }
}

/// Whether a tailer has locked `dir`, which is made if it is missing.
pub async fn is_tailed(dir: &Path) -> Result<bool, Error> {
    match take(dir).await {
        Ok(_) => Ok(false),
        Err(Error::Taken { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Fails before the first file is read if files cannot be moved out of `dir`.
pub(crate) fn check_writable(dir: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { dir: dir.to_owned(), source };
    match accessat(CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        Err(Errno::ACCESS) => {
            let owner = fs::metadata(dir).map_err(io)?.uid();
            Err(Error::Foreign { dir: dir.to_owned(), owner, us: geteuid().as_raw() })
        }
        Err(errno) => Err(io(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rule_one_tailer_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let landing = dir.path().join("landing");
        let first = take(&landing).await.unwrap();
        assert!(matches!(take(&landing).await, Err(Error::Taken { .. })));
        drop(first);
        assert!(take(&landing).await.is_ok());
    }

    #[tokio::test]
    async fn a_lock_that_a_program_shares_while_it_starts_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take(dir.path()).await.unwrap();
        let shared = lock.0.try_clone().unwrap();
        let mut program =
            std::process::Command::new("/bin/sh").args(["-c", "sleep 0.1"]).stdin(shared).spawn().unwrap();
        drop(lock);
        assert!(take(dir.path()).await.is_ok());
        program.wait().unwrap();
    }
}
