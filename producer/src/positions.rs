//! Deletes the positions of a checkpoint directory for `--fresh`, after locking it against tailers.

use std::path::{Path, PathBuf};

use crate::lock::{self, Lock};
use crate::{Error, checkpoint};

/// The positions of one directory, which is locked while this is held.
#[derive(Debug)]
pub struct Positions {
    dir: PathBuf,
    _lock: Option<Lock>,
}

impl Positions {
    /// Fails while a tailer is running there. A missing directory is not made.
    pub async fn take(dir: &Path) -> Result<Self, Error> {
        let lock = if dir.exists() { Some(lock::take(dir).await?) } else { None };
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// The directory, and other files in it, stay.
    pub fn forget(self) -> Result<(), Error> {
        Ok(checkpoint::forget(&self.dir)?)
    }
}
