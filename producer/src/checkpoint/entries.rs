//! Checkpoints in memory, by file and by inode.

use std::collections::HashMap;

use common::FileId;

use crate::checkpoint::{Checkpoint, SentPosition};

#[derive(Debug)]
pub(super) struct Entry {
    pub checkpoint: Checkpoint,
    pub unwritten: Unwritten,
    /// The sent position, if it is not written.
    pub sent: Option<SentPosition>,
}

/// What is not on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unwritten {
    Nothing,
    /// A later position: after a crash more rows are sent again.
    Position,
    /// A state that has to be on disk before the next step.
    State,
}

#[derive(Debug, Default)]
pub(super) struct Entries {
    by_file: HashMap<FileId, Entry>,
    by_inode: HashMap<u64, Vec<FileId>>,
}

impl Entries {
    pub(super) fn get(&self, file: FileId) -> Option<&Entry> {
        self.by_file.get(&file)
    }

    /// The inode must not be changed.
    pub(super) fn get_mut(&mut self, file: FileId) -> Option<&mut Entry> {
        self.by_file.get_mut(&file)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Entry> {
        self.by_file.values()
    }

    /// As [`Entries::get_mut`].
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.by_file.values_mut()
    }

    pub(super) fn of_inode(&self, inode: u64) -> impl Iterator<Item = &Checkpoint> {
        let files = self.by_inode.get(&inode).into_iter().flatten();
        files.filter_map(|file| self.get(*file)).map(|entry| &entry.checkpoint)
    }

    /// Returns the entry that it replaces.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let (file, inode) = (entry.checkpoint.file_id, entry.checkpoint.identity.inode);
        let before = self.remove(file);
        self.by_inode.entry(inode).or_default().push(file);
        self.by_file.insert(file, entry);
        before
    }

    pub(super) fn remove(&mut self, file: FileId) -> Option<Entry> {
        let entry = self.by_file.remove(&file)?;
        let inode = entry.checkpoint.identity.inode;
        if let Some(files) = self.by_inode.get_mut(&inode) {
            files.retain(|one| *one != file);
            if files.is_empty() {
                self.by_inode.remove(&inode);
            }
        }
        Some(entry)
    }
}
