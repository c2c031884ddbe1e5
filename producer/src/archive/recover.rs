//! Completes, or undoes, at the next start what a crash has interrupted while a file was put away.
//!
//! A file that is still there is read on, which finds nothing new unless it has grown. It is then closed and put away
//! again. One that is not found keeps its state, and is resumed if it is found later, under any name.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::moving::{is_beginning_of, part_of, put_back, remove_and_sync};
use super::{is_unchanged_after_rename, removal_path};
use crate::checkpoint::{self, Checkpoint, State, Store};
use crate::file::identity::FileStat;

/// Updates every checkpoint whose file was being put away.
pub(crate) fn recover(store: &Store) -> Result<(), checkpoint::Error> {
    let is_cut =
        |state: &State| matches!(state, State::Archiving { .. } | State::Copied { .. } | State::Deleting);
    for checkpoint in store.open_files(|checkpoint| is_cut(&checkpoint.state)) {
        come_back(&checkpoint);
        let state = match checkpoint.state.clone() {
            State::Archiving { target, announced } => archiving(&checkpoint, &target, announced),
            State::Copied { target, announced } => Some(copied(&checkpoint, &target, announced)),
            _ => device_of(&checkpoint.path, checkpoint.identity.inode).map(|_| State::Reading),
        };
        if let Some(state) = state {
            store.put(Checkpoint { state, ..checkpoint });
        }
    }
    store.flush()
}

/// A file that was renamed to be removed gets its name back.
fn come_back(checkpoint: &Checkpoint) {
    let aside = removal_path(&checkpoint.path, checkpoint.file_id);
    if device_of(&aside, checkpoint.identity.inode).is_some()
        && let Err(error) = put_back(&aside, &checkpoint.path)
    {
        tracing::warn!(file = %aside.display(), %error, "was about to be removed, and cannot be put back; rename it");
    }
}

/// `None` where the file is neither in its place nor in the archive.
fn archiving(checkpoint: &Checkpoint, target: &Path, announced: Option<FileStat>) -> Option<State> {
    let (path, inode) = (&checkpoint.path, checkpoint.identity.inode);
    let from = device_of(path, inode);
    // On another file system a copy may have the same inode by chance.
    let to = device_of(target, inode).filter(|to| from.is_none_or(|from| from == *to));
    let target = target.to_owned();
    match (from, to) {
        (_, Some(_)) => {
            // It has its new name as a link, and still its old one.
            if from == to
                && let Err(error) = fs::remove_file(path)
            {
                tracing::warn!(file = %path.display(), %error, "is in the archive too");
            }
            if announced.is_none_or(|announced| is_unchanged_after_rename(&target, announced)) {
                return Some(State::Archived { target });
            }
            match put_back(&target, path) {
                Ok(()) => Some(State::Reading),
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::error!("{} has rows that were not read: {error:#}", target.display());
                    None
                }
            }
        }
        (Some(_), None) => {
            // On another file system: a copy, which may not be complete.
            let _ = fs::remove_file(part_of(&target));
            if let Some(announced) = announced {
                remove_copy(path, &target, announced);
            }
            Some(State::Reading)
        }
        (None, None) => None,
    }
}

fn copied(checkpoint: &Checkpoint, target: &Path, announced: FileStat) -> State {
    if device_of(&checkpoint.path, checkpoint.identity.inode).is_none() {
        return State::Archived { target: target.to_owned() };
    }
    remove_copy(&checkpoint.path, target, announced);
    State::Reading
}

/// Removes the copy of a file that is still in its place. Other files of that name stay.
fn remove_copy(path: &Path, target: &Path, announced: FileStat) {
    let Ok(found) = fs::metadata(target) else { return };
    let found = FileStat::from(&found);
    let is_ours = (found.size, found.written_us) == (announced.size, announced.written_us)
        && is_beginning_of(target, path).unwrap_or(false);
    if is_ours && let Err(error) = remove_and_sync(target) {
        tracing::warn!(file = %target.display(), %error, "a copy that is not needed cannot be removed");
    }
}

/// The device of the file at `path`, if it has this inode.
fn device_of(path: &Path, inode: u64) -> Option<u64> {
    fs::metadata(path).ok().filter(|found| found.ino() == inode).map(|found| found.dev())
}
