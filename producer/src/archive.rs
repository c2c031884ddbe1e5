//! Archives, keeps or deletes closed files, as `tail.on_close` configures.
//!
//! A checkpoint enters, with the file's metadata of when its end was read and its totals were announced. A file that has
//! changed since has unread bytes: it stays, or is put back, and is read on. It is checked before and after it is moved,
//! and it is never removed under a name that other programs know.

mod moving;
mod recover;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use common::config::OnClose;
use common::{FileId, fault};

use crate::checkpoint::{self, Checkpoint, State, Store};
use crate::file::identity::FileStat;
use moving::{Dirs, copy_without_replacing, move_unsynced, put_back, remove_and_sync};
pub(crate) use recover::recover;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to move {} to {}", from.display(), to.display())]
    Move { from: PathBuf, to: PathBuf, source: io::Error },
    #[error("failed to copy {} to {}", from.display(), to.display())]
    Copy { from: PathBuf, to: PathBuf, source: io::Error },
    #[error("failed to delete {}", path.display())]
    Delete { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Checkpoint(#[from] checkpoint::Error),
}

/// The result for one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// There is nothing more to do about the file.
    Away,
    /// It has changed since its totals were announced. It is still in its directory, and has to be read on.
    Changed,
}

/// A file that is being moved or removed.
#[derive(Debug)]
pub(crate) struct ClosingFile {
    checkpoint: Checkpoint,
    /// As it was before its end was read.
    announced: FileStat,
    ended: Option<Result<Put, Error>>,
}

/// Puts away closed files. Checkpoints are written for all of them at once.
pub(crate) fn put_away(
    store: &Store,
    mut files: Vec<ClosingFile>,
    on_close: OnClose,
    archive_dir: &Path,
) -> Result<Vec<Result<Put, Error>>, checkpoint::Error> {
    for file in &mut files {
        if !is_unchanged(&file.checkpoint.path, file.announced) {
            file.ended = Some(Ok(Put::Changed));
            continue;
        }
        let state = match on_close {
            OnClose::Keep => State::Kept,
            OnClose::Delete => State::Deleting,
            OnClose::Archive => {
                let target = archived_path(archive_dir, &file.checkpoint.path, file.checkpoint.file_id);
                // A later process may run in another directory.
                let target = std::path::absolute(&target).unwrap_or(target);
                State::Archiving { target, announced: Some(file.announced) }
            }
        };
        file.set_state(store, state);
    }
    store.flush()?;
    match on_close {
        OnClose::Keep => {}
        OnClose::Delete => delete(store, &mut files)?,
        OnClose::Archive => archive(store, &mut files)?,
    }
    store.flush()?;
    Ok(files.into_iter().map(|file| file.ended.unwrap_or(Ok(Put::Away))).collect())
}

fn archive(store: &Store, files: &mut [ClosingFile]) -> Result<(), checkpoint::Error> {
    fault::point("after_archiving_mark");
    let mut dirs = Dirs::default();
    for file in files.iter_mut() {
        let Some((from, target)) = file.place_and_target() else { continue };
        match move_unsynced(&from, &target) {
            Ok(()) => dirs.changed(&from, &target),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                file.ended = Some(file.copy(store, &from, target)?);
            }
            Err(source) => file.keep_in_place(store, Error::Move { from, to: target, source }),
        }
    }
    dirs.sync().map_err(sync_error)?;
    fault::point("after_archive_rename");
    for file in files {
        let Some((_, target)) = file.place_and_target() else { continue };
        if is_unchanged_after_rename(&target, file.announced) {
            file.set_state(store, State::Archived { target });
        } else {
            file.move_back(store, &target);
        }
    }
    Ok(())
}

fn delete(store: &Store, files: &mut [ClosingFile]) -> Result<(), checkpoint::Error> {
    fault::point("after_deleting_mark");
    let mut dirs = Dirs::default();
    for file in files.iter_mut().filter(|file| file.ended.is_none()) {
        let path = file.checkpoint.path.clone();
        match file.remove(&path) {
            Ok(Put::Away) => dirs.changed(&path, &path),
            Ok(Put::Changed) => {
                file.set_state(store, State::Reading);
                file.ended = Some(Ok(Put::Changed));
            }
            Err(error) => file.keep_in_place(store, error),
        }
    }
    dirs.sync().map_err(sync_error)?;
    for file in files.iter_mut().filter(|file| file.ended.is_none()) {
        file.set_state(store, State::Deleted);
    }
    Ok(())
}

/// It is unknown where files are now. The next start finds out.
fn sync_error((path, source): (PathBuf, io::Error)) -> checkpoint::Error {
    checkpoint::Error::Io { doing: "sync", path, source }
}

impl ClosingFile {
    /// `announced` is how the file was before its end was read.
    pub(crate) fn new(checkpoint: Checkpoint, announced: FileStat) -> Self {
        Self { checkpoint, announced, ended: None }
    }

    fn set_state(&mut self, store: &Store, state: State) {
        self.checkpoint.state = state;
        store.put(self.checkpoint.clone());
    }

    /// The file stays where it is.
    fn keep_in_place(&mut self, store: &Store, why: Error) {
        self.set_state(store, State::Reading);
        self.ended = Some(Err(why));
    }

    /// Its place and its target, while it is moved to the archive.
    fn place_and_target(&self) -> Option<(PathBuf, PathBuf)> {
        match &self.checkpoint.state {
            State::Archiving { target, .. } if self.ended.is_none() => {
                Some((self.checkpoint.path.clone(), target.clone()))
            }
            _ => None,
        }
    }

    /// Moves it back, since it has changed.
    fn move_back(&mut self, store: &Store, from: &Path) {
        let back = put_back(from, &self.checkpoint.path).map(|()| Put::Changed);
        if back.is_ok() {
            self.set_state(store, State::Reading);
        }
        self.ended = Some(back);
    }

    /// To another file system. Until the checkpoint notes the copy, [`recover`] removes it after a crash. From then on, it
    /// removes the file.
    fn copy(
        &mut self,
        store: &Store,
        from: &Path,
        target: PathBuf,
    ) -> Result<Result<Put, Error>, checkpoint::Error> {
        if let Err(source) = copy_without_replacing(from, &target) {
            self.set_state(store, State::Reading);
            return Ok(Err(Error::Copy { from: from.to_owned(), to: target, source }));
        }
        fault::point("after_archive_copy");
        let mut removed = Ok(Put::Changed);
        if is_unchanged(from, self.announced) {
            self.set_state(store, State::Copied { target: target.clone(), announced: self.announced });
            store.flush()?;
            fault::point("after_copied_mark");
            removed = self.remove(from);
        }
        if matches!(removed, Ok(Put::Away)) {
            let mut dirs = Dirs::default();
            dirs.changed(from, from);
            dirs.sync().map_err(sync_error)?;
            self.set_state(store, State::Archived { target });
        } else {
            remove_copy(&target);
            self.set_state(store, State::Reading);
        }
        Ok(removed)
    }

    /// Removes the file, unless it has changed. It is renamed first, so that the file that is checked is the one that is
    /// removed, and not one that has since taken its name.
    fn remove(&self, path: &Path) -> Result<Put, Error> {
        let aside = removal_path(path, self.checkpoint.file_id);
        move_unsynced(path, &aside).map_err(|source| Error::Move {
            from: path.to_owned(),
            to: aside.clone(),
            source,
        })?;
        fault::point("after_moved_aside");
        if !is_unchanged_after_rename(&aside, self.announced) {
            put_back(&aside, path)?;
            return Ok(Put::Changed);
        }
        if let Err(source) = fs::remove_file(&aside) {
            put_back(&aside, path)?;
            return Err(Error::Delete { path: path.to_owned(), source });
        }
        fault::point("after_removed");
        Ok(Put::Away)
    }
}

fn remove_copy(target: &Path) {
    if let Err(error) = remove_and_sync(target) {
        tracing::warn!(file = %target.display(), %error, "an outdated copy cannot be removed from the archive");
    }
}

/// Moves a file back from the archive that was written after it was archived.
pub(crate) fn move_back_from_archive(
    store: &Store,
    checkpoint: Checkpoint,
    target: &Path,
    announced: FileStat,
) -> Result<(), Error> {
    let mut file = ClosingFile::new(checkpoint, announced);
    // As while it is archived, so that a crash is recovered from.
    file.set_state(store, State::Archiving { target: target.to_owned(), announced: Some(announced) });
    store.flush()?;
    put_back(target, &file.checkpoint.path)?;
    file.set_state(store, State::Reading);
    store.flush()?;
    Ok(())
}

/// Whether the file in the archive has more bytes than when it was `announced`.
pub(crate) fn has_grown(target: &Path, announced: FileStat) -> bool {
    let found = fs::metadata(target).map(|found| FileStat::from(&found));
    found.is_ok_and(|found| found.inode == announced.inode && found.size > announced.size)
}

/// Whether the file has not changed since. It is opened, since some network file systems ask their server only then.
fn is_unchanged(path: &Path, announced: FileStat) -> bool {
    let found = File::open(path).and_then(|file| file.metadata());
    found.is_ok_and(|found| FileStat::from(&found) == announced)
}

/// The same for a file that was renamed.
pub(crate) fn is_unchanged_after_rename(path: &Path, announced: FileStat) -> bool {
    let found = File::open(path).and_then(|file| file.metadata());
    found.is_ok_and(|found| FileStat::from(&found).is_same_but_for_its_name(&announced))
}

/// The path in the archive: `orders.csv.gz` with file id 42 is `orders.42.csv.gz` there, so that another file of the same
/// name can be archived.
pub(crate) fn archived_path(archive_dir: &Path, path: &Path, file: FileId) -> PathBuf {
    archive_dir.join(labelled(path, &file.to_string()))
}

/// The file's name with a label before its ending. The ending, in upper or lower case, stays, since it is the format.
fn labelled(path: &Path, label: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_ascii_lowercase();
    let dot = [".csv", ".tsv"].iter().filter_map(|ending| lower.rfind(ending)).max().unwrap_or(name.len());
    format!("{}.{label}{}", &name[..dot], &name[dot..])
}

/// The name under which a file is removed: in its directory, and not read.
fn removal_path(path: &Path, file: FileId) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{file}.removing"))
}

#[cfg(test)]
mod tests;
