//! All checkpoints of one directory. Those that may still change are in memory, all others are looked up on disk by key.
//! Changes are made in memory first, and written for all files at once.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Clock, FileId};

use crate::checkpoint::database::{self, Change, Database, STORE, Settings, Survives};
use crate::checkpoint::disk::{self, Error, io_error};
use crate::checkpoint::entries::{Entries, Entry, Unwritten};
use crate::checkpoint::reader::Reader;
use crate::checkpoint::revisions::{REVISION_LIMIT, Revisions};
use crate::checkpoint::{Announced, Checkpoint, SentPosition, State, StreamPosition, damage, takeover};

/// The tailer and the publisher share it.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    source_id: u64,
    settings: Settings,
    /// Files that may still change, and those whose last change is not on disk.
    entries: Mutex<Entries>,
    revisions: Mutex<Revisions>,
    /// Held while changes are written, so that an older position never replaces a newer one.
    database: Mutex<Database>,
    /// Can read while another thread waits for the disk.
    reader: Mutex<Reader>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewound {
    pub files: usize,
    /// Files that cannot be read again, whose totals are sent again.
    pub truncated: usize,
}

impl Store {
    /// Reads the checkpoints that may still change. If the directory is new, it is made, with a source id.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(io_error("make the directory", dir))?;
        if !dir.join(STORE).exists() {
            let older = takeover::load(dir)?;
            if older.is_empty() && dir.join(REVISION_LIMIT).exists() {
                rebuild(dir, "it is gone")?;
            } else {
                database::create(dir, Settings::default(), &older)?;
            }
        }
        let (database, settings) = match Database::open(dir) {
            Err(Error::Damaged { what, .. }) => {
                rebuild(dir, &what)?;
                Database::open(dir)?
            }
            opened => opened?,
        };
        let reader = Reader::of_store(dir)?;
        takeover::remove(dir, |file| Ok(reader.rows().of_file(file)?.is_some()))?;
        let mut entries = Entries::default();
        for checkpoint in reader.rows().open()? {
            entries.insert(Entry { checkpoint, unwritten: Unwritten::Nothing, sent: None });
        }
        let last = entries.values().map(|entry| entry.checkpoint.revision).max().unwrap_or_default();
        Ok(Self {
            dir: dir.to_owned(),
            source_id: disk::source_id(dir)?,
            settings,
            entries: Mutex::new(entries),
            revisions: Mutex::new(Revisions::open(dir, last)?),
            database: Mutex::new(database),
            reader: Mutex::new(reader),
        })
    }

    /// A random number, by which files differ from those of a copy of the machine.
    pub(crate) fn source_id(&self) -> u64 {
        self.source_id
    }

    /// Whether the store replaces one that was lost, and what the stream has of those files is not in it yet.
    pub(crate) fn is_to_be_recovered(&self) -> bool {
        !self.settings.is_recovered
    }

    /// Stores what the stream has of files whose checkpoints were lost.
    pub(crate) fn recovered(&self, announced: &[Announced]) -> Result<(), Error> {
        lock(&self.database).recovered(announced)
    }

    /// What the stream has of a file whose checkpoint was lost, unless it was found again.
    pub(crate) fn announced(&self, file: FileId) -> Result<Option<Announced>, Error> {
        if self.of_file(file)?.is_some() {
            return Ok(None);
        }
        lock(&self.reader).rows().announced(file)
    }

    /// The incarnation of the first file with its inode and head.
    pub(crate) fn first_incarnation(&self) -> u32 {
        self.settings.first_incarnation
    }

    /// Every file that ever had this inode, the latest incarnation first.
    pub(crate) fn of_inode(&self, inode: u64) -> Result<Vec<Checkpoint>, Error> {
        let in_memory: Vec<Checkpoint> = lock(&self.entries).of_inode(inode).cloned().collect();
        let mut found = lock(&self.reader).rows().of_inode(inode)?;
        // Entries are removed from memory after they were written.
        found.retain(|one| in_memory.iter().all(|newer| newer.file_id != one.file_id));
        found.extend(in_memory);
        found.sort_by_key(|one| std::cmp::Reverse(one.identity.incarnation));
        Ok(found)
    }

    pub(crate) fn of_file(&self, file: FileId) -> Result<Option<Checkpoint>, Error> {
        if let Some(entry) = lock(&self.entries).get(file) {
            return Ok(Some(entry.checkpoint.clone()));
        }
        // Entries are removed from memory after they were written.
        lock(&self.reader).rows().of_file(file)
    }

    /// Those that may still change.
    pub(crate) fn open_files(&self, wanted: impl Fn(&Checkpoint) -> bool) -> Vec<Checkpoint> {
        self.in_memory(|one| one.is_open() && wanted(one))
    }

    /// Of the files that are not closed.
    pub(crate) fn latest_in_stream(&self) -> Result<Option<StreamPosition>, Error> {
        let truncated = lock(&self.reader).rows().latest_truncated()?;
        let not_closed = self.open_files(|one| !one.state.is_closed()).into_iter().chain(truncated);
        let positions = not_closed.filter_map(|one| one.stream);
        Ok(positions.max_by_key(|then| (then.created, then.last_sequence)))
    }

    /// Replaces the checkpoint of a file. It is on disk after the next [`Store::flush`], or [`Store::before_sending`].
    pub(crate) fn put(&self, checkpoint: Checkpoint) {
        let mut entries = lock(&self.entries);
        let sent = entries.remove(checkpoint.file_id).and_then(|entry| entry.sent);
        let sent = sent.filter(|_| checkpoint.state.is_in_place());
        entries.insert(Entry { checkpoint, unwritten: Unwritten::State, sent });
    }

    /// A revision for totals. It is greater than every one before it, also if `clock` was set back, and after a crash.
    pub(crate) fn next_revision(&self, clock: Clock) -> Result<i64, Error> {
        lock(&self.revisions).next(&self.dir, clock.micros())
    }

    /// [`Store::before_sending`] writes it.
    pub(crate) fn note_sent(&self, file: FileId, sent: &SentPosition) {
        if let Some(entry) = lock(&self.entries).get_mut(file) {
            entry.sent = Some(sent.clone());
        }
    }

    /// `None` if no sent position of the file was written.
    pub(crate) fn sent(&self, file: FileId) -> Result<Option<SentPosition>, Error> {
        if let Some(entry) = lock(&self.entries).get(file)
            && (entry.sent.is_some() || !entry.checkpoint.state.is_in_place())
        {
            return Ok(entry.sent.clone());
        }
        lock(&self.reader).rows().sent(file)
    }

    /// As [`Store::put`], for a file that was removed or rewritten. Its rows that are in flight still count when they are
    /// acknowledged.
    pub(crate) fn truncate(&self, file: FileId) -> Result<(), Error> {
        let known = self.of_file(file)?;
        let mut entries = lock(&self.entries);
        // Only the tailer changes the state of an open file, but its position may have advanced.
        let known = entries.remove(file).map(|entry| entry.checkpoint).or(known);
        if let Some(mut checkpoint) = known {
            (checkpoint.state, checkpoint.totals_pending) = (State::Truncated, true);
            entries.insert(Entry { checkpoint, unwritten: Unwritten::State, sent: None });
        }
        Ok(())
    }

    /// Sets an acknowledged position; [`Store::flush`] writes it. The checkpoint of a closed file does not change, and a
    /// truncated file stays truncated.
    pub(crate) fn advance(&self, checkpoint: Checkpoint) -> Result<(), Error> {
        let file = checkpoint.file_id;
        let mut entries = lock(&self.entries);
        let on_disk =
            if entries.get(file).is_some() { None } else { lock(&self.reader).rows().of_file(file)? };
        let before = entries.get(file).map(|entry| &entry.checkpoint).or(on_disk.as_ref());
        let checkpoint = match before {
            Some(before) if before.totals_pending => {
                let totals_pending = checkpoint.state != State::Truncated;
                Checkpoint { state: State::Truncated, totals_pending, ..checkpoint }
            }
            Some(before) if before.state != State::Reading => return Ok(()),
            _ => checkpoint,
        };
        let before = entries.remove(file);
        let (unwritten, sent) =
            before.map_or((Unwritten::Nothing, None), |before| (before.unwritten, before.sent));
        let unwritten = unwritten.max(Unwritten::Position);
        entries.insert(Entry { checkpoint, unwritten, sent });
        Ok(())
    }

    /// Lets every file that is not closed be read again from its start. The totals of truncated files become pending, since
    /// the stream may have lost them. All of it is on disk before this returns.
    pub(crate) fn rewind(&self) -> Result<Rewound, Error> {
        let mut rewound = Rewound::default();
        let settled = lock(&self.reader).rows().truncated()?;
        let mut not_closed: HashMap<FileId, Checkpoint> =
            settled.into_iter().map(|one| (one.file_id, one)).collect();
        not_closed.extend(self.in_memory(|_| true).into_iter().map(|one| (one.file_id, one)));
        not_closed.retain(|_, one| !one.state.is_closed());
        for mut checkpoint in not_closed.into_values() {
            if checkpoint.state == State::Truncated {
                (checkpoint.totals_pending, checkpoint.stream) = (true, None);
                rewound.truncated += 1;
            } else {
                checkpoint.rewind();
                rewound.files += 1;
            }
            self.put(checkpoint);
        }
        self.flush()?;
        Ok(rewound)
    }

    /// Writes all changes to disk, with one fsync.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.write(Survives::Machine, |_| true)
    }

    /// To be called before rows are sent. New files and changed states are written with an fsync. Sent positions only have to
    /// survive the process, and are written without one.
    pub(crate) fn before_sending(&self) -> Result<(), Error> {
        if lock(&self.entries).values().any(|entry| entry.unwritten == Unwritten::State) {
            return self.flush();
        }
        self.write(Survives::Process, |entry| entry.sent.is_some())
    }

    /// Writes everything, and closes the store cleanly.
    pub(crate) fn end(&self) -> Result<(), Error> {
        self.flush()?;
        lock(&self.database).end()
    }

    fn in_memory(&self, wanted: impl Fn(&Checkpoint) -> bool) -> Vec<Checkpoint> {
        let entries = lock(&self.entries);
        entries.values().map(|entry| &entry.checkpoint).filter(|one| wanted(one)).cloned().collect()
    }

    fn write(&self, survives: Survives, which: impl Fn(&Entry) -> bool) -> Result<(), Error> {
        let mut database = lock(&self.database);
        let mut changes = Vec::new();
        for entry in lock(&self.entries).values_mut().filter(|entry| which(entry)) {
            let is_unwritten = survives == Survives::Machine && entry.unwritten != Unwritten::Nothing;
            let change = Change {
                file: entry.checkpoint.file_id,
                checkpoint: is_unwritten.then(|| entry.checkpoint.clone()),
                sent: entry.sent.take(),
            };
            if change.checkpoint.is_some() || change.sent.is_some() {
                let was = entry.unwritten;
                entry.unwritten = if is_unwritten { Unwritten::Nothing } else { was };
                changes.push((was, change));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let (were, changes): (Vec<Unwritten>, Vec<Change>) = changes.into_iter().unzip();
        let written = database.write(&changes, survives);
        let mut entries = lock(&self.entries);
        for (was, change) in were.into_iter().zip(changes) {
            let Some(entry) = entries.get_mut(change.file) else { continue };
            if written.is_err() {
                entry.unwritten = entry.unwritten.max(was);
                entry.sent =
                    entry.sent.take().or(change.sent).filter(|_| entry.checkpoint.state.is_in_place());
            } else if entry.unwritten == Unwritten::Nothing && !entry.checkpoint.is_open() {
                entries.remove(change.file);
            }
        }
        written
    }
}

/// Moves the files of a lost store aside, and makes an empty one.
fn rebuild(dir: &Path, what: &str) -> Result<(), Error> {
    set_aside(dir, what)?;
    database::create(dir, Settings::of_rebuilt(), &[])
}

/// Moves a damaged store aside, and logs the consequences.
pub(crate) fn set_aside(dir: &Path, what: &str) -> Result<(), Error> {
    let aside = damage::move_aside(dir, &damage::ALL)?;
    let aside = aside.map_or_else(|| "nowhere".to_owned(), |aside| aside.display().to_string());
    tracing::error!(
        store = %dir.join(STORE).display(),
        what,
        moved_to = aside,
        "the checkpoints are lost: every file in the landing directory is read again from its start; rows of files that \
         are open according to the stream are recognised in the tables, rows of others become duplicates"
    );
    Ok(())
}

#[cfg(test)]
impl Store {
    pub(crate) fn select(&self, wanted: impl Fn(&Checkpoint) -> bool) -> Vec<Checkpoint> {
        let mut all: HashMap<FileId, Checkpoint> =
            lock(&self.reader).rows().all().unwrap().into_iter().map(|one| (one.file_id, one)).collect();
        all.extend(self.in_memory(|_| true).into_iter().map(|one| (one.file_id, one)));
        all.into_values().filter(|one| wanted(one)).collect()
    }

    /// The files of which the checkpoints are in memory.
    pub(super) fn in_memory_files(&self) -> Vec<FileId> {
        lock(&self.entries).values().map(|entry| entry.checkpoint.file_id).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
