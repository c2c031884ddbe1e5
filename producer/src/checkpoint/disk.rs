//! Checkpoints on disk: one JSON file a file, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use common::fault;

use crate::checkpoint::{Checkpoint, VERSION};

/// Why positions cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("failed to {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Not a checkpoint of a version that this build knows.
    #[error("{} is no checkpoint of version {VERSION}: {what}; move it away to read its file from the start", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// The file with the random number of a directory.
pub(super) const SOURCE_ID: &str = "source_id";
/// The ending of a file that is being written.
pub(super) const TEMPORARY: &str = ".tmp";

/// Every checkpoint in `dir`, read and nothing else: a tailer may be at work there.
pub(crate) fn load(dir: &Path) -> Result<Vec<Checkpoint>, Error> {
    let mut checkpoints = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let path = entry.map_err(io_error("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            checkpoints.push(read(&path)?);
        }
    }
    Ok(checkpoints)
}

/// A random number that was made when the directory was new, and stays.
pub(super) fn source_id(dir: &Path) -> Result<u64, Error> {
    let path = dir.join(SOURCE_ID);
    match fs::read_to_string(&path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16).map_err(|error| Error::Unreadable {
            path,
            what: format!("\"{}\" is not a hexadecimal number ({error})", text.trim()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = uuid::Uuid::new_v4().as_u64_pair().0;
            replace(dir, SOURCE_ID, format!("{made:016x}\n").as_bytes())?;
            Ok(made)
        }
        Err(source) => Err(Error::Io { doing: "read", path, source }),
    }
}

fn read(path: &Path) -> Result<Checkpoint, Error> {
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    let unreadable = |what: String| Error::Unreadable { path: path.to_owned(), what };
    let checkpoint: Checkpoint =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if checkpoint.version != VERSION {
        return Err(unreadable(format!("it has version {}", checkpoint.version)));
    }
    Ok(checkpoint)
}

pub(super) fn write(dir: &Path, checkpoint: &Checkpoint) -> Result<(), Error> {
    let name = format!("{}.json", checkpoint.file_id);
    let json =
        serde_json::to_vec(checkpoint).map_err(|error| io_error("write", &dir.join(&name))(error.into()))?;
    replace(dir, &name, &json)
}

/// Temporary file, fsync, rename, fsync of the directory: after a crash either the old or the new one is there.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}{TEMPORARY}"));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(io_error("write", &temporary))?;
    fault::point("before_checkpoint_rename");
    fs::rename(&temporary, &path).map_err(io_error("rename to", &path))?;
    fault::point("after_checkpoint_rename");
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))
}

/// For `map_err`: what was tried, with what.
pub(super) fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}
