//! One tailer a directory: a second one would send every row twice and move files from under the first.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another tailer has it.
    #[error("another producer tails {}; stop it, or give this one directories of its own", dir.display())]
    Taken {
        /// The directory.
        dir: PathBuf,
    },
    /// It cannot be made or opened.
    #[error("failed to use the directory {}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A directory that is ours until this is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its drop")] File);

/// Makes `dir` where it is missing, and takes it.
pub(crate) fn take(dir: &Path) -> Result<Lock, Error> {
    let io = |source| Error::Io { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(io)?;
    let file = File::open(dir).map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Taken { dir: dir.to_owned() }),
        Err(errno) => Err(io(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_one_tailer_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let landing = dir.path().join("landing");
        let first = take(&landing).unwrap();
        assert!(matches!(take(&landing), Err(Error::Taken { .. })));
        drop(first);
        assert!(take(&landing).is_ok());
    }
}
