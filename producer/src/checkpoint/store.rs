//! All positions of one checkpoint directory, in memory and on disk. Acknowledged positions enter, and are written now
//! and then; what must not be lost is written at once.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Clock, FileId};

use crate::checkpoint::disk::{self, Error, io_error};
use crate::checkpoint::mappings::Mappings;
use crate::checkpoint::revisions::Revisions;
use crate::checkpoint::{Ahead, Checkpoint, State, ahead};

/// All checkpoints of one directory. The reading and the publishing side share it.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    source_id: u64,
    entries: Mutex<HashMap<FileId, Entry>>,
    mappings: Mutex<Mappings>,
    revisions: Mutex<Revisions>,
    /// Held while files are written, so that an older position never replaces a newer one.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Entry {
    checkpoint: Checkpoint,
    /// Whether it is newer than what is on disk.
    dirty: bool,
}

/// What begins again when the stream has lost data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewound {
    /// Files that are read again.
    pub files: usize,
    /// Files that cannot be read again; only their accounts are sent once more.
    pub truncated: usize,
}

impl Store {
    /// Reads what is there; makes the directory, and a source id that stays for ever, where it is new.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(io_error("make the directory", dir))?;
        let source_id = disk::source_id(dir)?;
        let mut mappings = Mappings::default();
        let entry = |mut checkpoint: Checkpoint| {
            mappings.share(&mut checkpoint);
            (checkpoint.file_id, Entry { checkpoint, dirty: false })
        };
        let entries: HashMap<FileId, Entry> = disk::load(dir)?.into_iter().map(entry).collect();
        let last = entries.values().map(|entry| entry.checkpoint.revision).max().unwrap_or_default();
        Ok(Self {
            dir: dir.to_owned(),
            source_id,
            entries: Mutex::new(entries),
            mappings: Mutex::new(mappings),
            revisions: Mutex::new(Revisions::open(dir, last)?),
            writing: Mutex::new(()),
        })
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

    /// The file of this id.
    pub(crate) fn of_file(&self, file: FileId) -> Option<Checkpoint> {
        self.lock().get(&file).map(|entry| entry.checkpoint.clone())
    }

    /// Every checkpoint for which `wanted` holds.
    pub(crate) fn select(&self, wanted: impl Fn(&Checkpoint) -> bool) -> Vec<Checkpoint> {
        let entries = self.lock();
        entries.values().map(|entry| &entry.checkpoint).filter(|one| wanted(one)).cloned().collect()
    }

    /// Writes `checkpoint` to disk before it returns.
    pub(crate) fn put(&self, mut checkpoint: Checkpoint) -> Result<(), Error> {
        let _writing = self.writing.lock();
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner).share(&mut checkpoint);
        disk::write(&self.dir, &checkpoint)?;
        if !checkpoint.state.is_in_place() {
            ahead::remove(&self.dir, checkpoint.file_id);
        }
        self.lock().insert(checkpoint.file_id, Entry { checkpoint, dirty: false });
        Ok(())
    }

    /// A revision for the next totals of any file. It is greater than every one before it, also when `clock` was put
    /// back meanwhile, or a crash has lost all that was not on disk.
    pub(crate) fn next_revision(&self, clock: Clock) -> Result<i64, Error> {
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions.next(&self.dir, clock.micros())
    }

    /// Notes, before they are sent, how far a file's rows are sent.
    pub(crate) fn note_ahead(&self, file: FileId, ahead: &Ahead) -> io::Result<()> {
        ahead::write(&self.dir, file, ahead)
    }

    /// How far a file's rows may have been sent, where that was noted.
    pub(crate) fn ahead(&self, file: FileId) -> Option<Ahead> {
        ahead::read(&self.dir, file)
    }

    /// Ends the reading of a file that is gone or was rewritten; that is on disk before it returns. Rows of it that are
    /// on their way still count when they are acknowledged.
    pub(crate) fn truncate(&self, file: FileId) -> Result<(), Error> {
        let _writing = self.writing.lock();
        let Some(mut checkpoint) = self.of_file(file) else { return Ok(()) };
        (checkpoint.state, checkpoint.owes_account) = (State::Truncated, true);
        disk::write(&self.dir, &checkpoint)?;
        ahead::remove(&self.dir, file);
        if let Some(entry) = self.lock().get_mut(&file) {
            // Nobody else changes the state of a file that is read, but its position may be a later one by now.
            (entry.checkpoint.state, entry.checkpoint.owes_account) = (State::Truncated, true);
        }
        Ok(())
    }

    /// Takes over an acknowledged position; [`Store::flush`] writes it. A file that was closed stays as it is, and one
    /// that was truncated meanwhile stays so.
    pub(crate) fn advance(&self, checkpoint: Checkpoint) {
        let mut entries = self.lock();
        let before = entries.get(&checkpoint.file_id).map(|entry| &entry.checkpoint);
        let checkpoint = match before {
            Some(before) if before.owes_account => {
                let told = checkpoint.state == State::Truncated;
                Checkpoint { state: State::Truncated, owes_account: !told, ..checkpoint }
            }
            Some(before) if before.state != State::Reading => return,
            _ => checkpoint,
        };
        entries.insert(checkpoint.file_id, Entry { checkpoint, dirty: true });
    }

    /// Lets every file that is not closed begin again behind its header. Of truncated files the stream may have lost
    /// the account too.
    pub(crate) fn rewind(&self) -> Result<Rewound, Error> {
        let mut rewound = Rewound::default();
        for mut checkpoint in self.select(|checkpoint| !checkpoint.state.is_closed()) {
            if checkpoint.state == State::Truncated {
                (checkpoint.owes_account, checkpoint.stream) = (true, None);
                rewound.truncated += 1;
            } else {
                checkpoint.rewind();
                rewound.files += 1;
            }
            self.put(checkpoint)?;
        }
        Ok(rewound)
    }

    /// Writes what has changed since the last time.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let _writing = self.writing.lock();
        let changed: Vec<Checkpoint> = self
            .lock()
            .values_mut()
            .filter_map(|entry| std::mem::take(&mut entry.dirty).then(|| entry.checkpoint.clone()))
            .collect();
        let written = changed.iter().try_for_each(|checkpoint| disk::write(&self.dir, checkpoint));
        if written.is_err() {
            let mut entries = self.lock();
            for checkpoint in &changed {
                entries.entry(checkpoint.file_id).and_modify(|entry| entry.dirty = true);
            }
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
