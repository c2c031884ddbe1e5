//! The positions of a checkpoint directory, for a command that starts from nothing: a directory enters, and once no
//! tailer can use it, its positions are forgotten.

use std::path::{Path, PathBuf};

use crate::lock::{self, Lock};
use crate::{Error, checkpoint};

/// The positions of one directory, which no tailer uses while this is held.
#[derive(Debug)]
pub struct Positions {
    dir: PathBuf,
    _lock: Option<Lock>,
}

impl Positions {
    /// Takes them; refused while a tailer is at work there. Nothing is made where there is no directory.
    pub async fn take(dir: &Path) -> Result<Self, Error> {
        let lock = if dir.exists() { Some(lock::take(dir).await?) } else { None };
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// Deletes them, and nothing else: the directory, and what is not ours in it, stay.
    pub fn forget(self) -> Result<(), Error> {
        Ok(checkpoint::forget(&self.dir)?)
    }
}
