//! Checkpoints on disk: one JSON file a file, written whole or not at all.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::FileId;

use crate::checkpoint::{Checkpoint, State, VERSION};

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

/// All checkpoints of one directory. The reading and the publishing side share it.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    source_id: u64,
    entries: Mutex<HashMap<FileId, Entry>>,
    /// Held while files are written, so that an older position never replaces a newer one.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    checkpoint: Checkpoint,
    /// Whether it is newer than what is on disk.
    dirty: bool,
}

impl Store {
    /// Reads what is there; makes the directory, and a source id that stays for ever, where it is new.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(io_error("make the directory", dir))?;
        let source_id = source_id(dir)?;
        let mut entries = HashMap::new();
        for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
            let path = entry.map_err(io_error("list", dir))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let checkpoint = read(&path)?;
                entries.insert(checkpoint.file_id, Entry { checkpoint, dirty: false });
            }
        }
        Ok(Self { dir: dir.to_owned(), source_id, entries: Mutex::new(entries), writing: Mutex::new(()) })
    }

    /// Tells this directory's files from those of a copy of the machine.
    pub(crate) fn source_id(&self) -> u64 {
        self.source_id
    }

    /// Every file that ever had this inode, the latest incarnation first.
    pub(crate) fn of_inode(&self, inode: u64) -> Vec<Checkpoint> {
        let mut found = self.select(|checkpoint| checkpoint.identity.inode == inode);
        found.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.identity.incarnation));
        found
    }

    /// Every checkpoint for which `wanted` holds.
    pub(crate) fn select(&self, wanted: impl Fn(&Checkpoint) -> bool) -> Vec<Checkpoint> {
        let entries = self.lock();
        entries.values().map(|entry| &entry.checkpoint).filter(|one| wanted(one)).cloned().collect()
    }

    /// Writes `checkpoint` to disk before it returns.
    pub(crate) fn put(&self, checkpoint: Checkpoint) -> Result<(), Error> {
        let _writing = self.writing.lock();
        write(&self.dir, &checkpoint)?;
        self.lock().insert(checkpoint.file_id, Entry { checkpoint, dirty: false });
        Ok(())
    }

    /// Takes over an acknowledged position; [`Store::flush`] writes it. A file whose reading is over stays as it is.
    pub(crate) fn advance(&self, checkpoint: Checkpoint) {
        let mut entries = self.lock();
        let over =
            entries.get(&checkpoint.file_id).is_some_and(|entry| entry.checkpoint.state != State::Reading);
        if !over {
            entries.insert(checkpoint.file_id, Entry { checkpoint, dirty: true });
        }
    }

    /// Lets every file that is not closed begin again behind its header; how many there are.
    pub(crate) fn rewind(&self) -> Result<usize, Error> {
        let open = self.select(|checkpoint| checkpoint.state == State::Reading);
        for checkpoint in &open {
            let start = checkpoint.start;
            self.put(Checkpoint { reached: start, stream: None, ..checkpoint.clone() })?;
        }
        Ok(open.len())
    }

    /// Writes what has changed since the last time.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let _writing = self.writing.lock();
        let changed: Vec<Checkpoint> =
            self.lock().values().filter(|entry| entry.dirty).map(|entry| entry.checkpoint.clone()).collect();
        for checkpoint in changed {
            write(&self.dir, &checkpoint)?;
            if let Some(entry) = self.lock().get_mut(&checkpoint.file_id) {
                entry.dirty = entry.checkpoint.reached != checkpoint.reached;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn source_id(dir: &Path) -> Result<u64, Error> {
    let path = dir.join("source_id");
    match fs::read_to_string(&path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16).map_err(|error| Error::Unreadable {
            path,
            what: format!("\"{}\" is not a hexadecimal number ({error})", text.trim()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = uuid::Uuid::new_v4().as_u64_pair().0;
            replace(dir, "source_id", format!("{made:016x}\n").as_bytes())?;
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

fn write(dir: &Path, checkpoint: &Checkpoint) -> Result<(), Error> {
    let json = serde_json::to_vec(checkpoint).unwrap_or_default();
    replace(dir, &format!("{}.json", checkpoint.file_id), &json)
}

/// Temporary file, fsync, rename, fsync of the directory: after a crash either the old or the new one is there.
fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}.tmp"));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(io_error("rename to", &path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tail::identity::Identity;

    fn checkpoint(offset: u64) -> Checkpoint {
        let identity = Identity { inode: 7, head_length: 3, head_hash: 9, incarnation: 0 };
        let mut checkpoint = Checkpoint::new(FileId::from(42), identity, Path::new("a.csv"));
        checkpoint.reached.offset = offset;
        checkpoint
    }

    #[test]
    fn positions_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.advance(checkpoint(10));
        store.flush().unwrap();
        let again = Store::open(dir.path()).unwrap();
        assert_eq!(again.of_inode(7)[0].reached.offset, 10);
        assert_eq!(again.source_id(), store.source_id());
    }

    #[test]
    fn a_late_position_does_not_reopen_a_closed_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.advance(checkpoint(10));
        store.put(Checkpoint { state: State::Kept, ..checkpoint(20) }).unwrap();
        store.advance(checkpoint(15));
        store.flush().unwrap();
        let again = Store::open(dir.path()).unwrap();
        assert_eq!((again.of_inode(7)[0].reached.offset, &again.of_inode(7)[0].state), (20, &State::Kept));
    }

    #[test]
    fn a_checkpoint_of_another_version_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        Store::open(dir.path()).unwrap().put(Checkpoint { version: 9, ..checkpoint(1) }).unwrap();
        let error = Store::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("42.json") && error.contains("version 9"), "{error}");
    }
}
