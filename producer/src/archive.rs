//! What becomes of a file whose every row is in a table: archived, kept or deleted, by configuration.
//!
//! A checkpoint enters, with how the file was when its end was read and its totals were announced. A file that is not
//! so any more has bytes that nobody has read: it is left, or put back, where it is, and read on. It is looked at
//! before and after it leaves its place, and it is never removed under a name that others know.

mod moving;
mod recover;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use common::config::OnClose;
use common::{FileId, fault};

use crate::checkpoint::{self, Checkpoint, State, Store};
use crate::file::identity::FileStat;
use moving::{copy_without_replacing, move_without_replacing, put_back, remove_and_sync};
pub(crate) use recover::recover;

/// Why a file could not be put away.
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

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// There is nothing more to do about the file.
    Away,
    /// It is not as it was when its totals were announced. It is still in its directory, and to be read on.
    Changed,
}

/// Puts away the closed file of `checkpoint`, which was as `announced` before its end was read.
pub(crate) fn put_away(
    store: &Store,
    checkpoint: Checkpoint,
    announced: FileStat,
    on_close: OnClose,
    archive_dir: &Path,
) -> Result<Put, Error> {
    if !is_as_announced(&checkpoint.path, announced) {
        return Ok(Put::Changed);
    }
    let mut file = Leaving { store, checkpoint, announced };
    match on_close {
        OnClose::Keep => file.becomes(State::Kept)?,
        OnClose::Delete => return file.delete(),
        OnClose::Archive => {
            let target = archive_dir.join(archived_name(&file.checkpoint));
            // To be found from wherever a later process runs.
            return file.archive(std::path::absolute(&target).unwrap_or(target));
        }
    }
    Ok(Put::Away)
}

/// A file on its way out of the landing directory.
struct Leaving<'a> {
    store: &'a Store,
    checkpoint: Checkpoint,
    announced: FileStat,
}

impl Leaving<'_> {
    /// Writes the state to disk.
    fn becomes(&mut self, state: State) -> Result<(), checkpoint::Error> {
        self.checkpoint.state = state;
        self.store.put(self.checkpoint.clone())
    }

    /// The file stays; `why` it cannot leave.
    fn stays(&mut self, why: Error) -> Result<Put, Error> {
        self.becomes(State::Reading)?;
        Err(why)
    }

    fn archive(mut self, target: PathBuf) -> Result<Put, Error> {
        let from = self.checkpoint.path.clone();
        self.becomes(State::Archiving { target: target.clone(), announced: Some(self.announced) })?;
        fault::point("after_archiving_mark");
        match move_without_replacing(&from, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => return self.copy(&from, target),
            Err(source) => return self.stays(Error::Move { from, to: target, source }),
        }
        fault::point("after_archive_rename");
        if !is_as_moved(&target, self.announced) {
            put_back(&target, &from)?;
            self.becomes(State::Reading)?;
            return Ok(Put::Changed);
        }
        self.becomes(State::Archived { target })?;
        Ok(Put::Away)
    }

    /// To another file system. Until the copy is noted, a crash leaves the file in its place and a copy that
    /// [`recover`] removes; from then on, only what is left of the file.
    fn copy(mut self, from: &Path, target: PathBuf) -> Result<Put, Error> {
        if let Err(source) = copy_without_replacing(from, &target) {
            return self.stays(Error::Copy { from: from.to_owned(), to: target, source });
        }
        fault::point("after_archive_copy");
        if is_as_announced(from, self.announced) {
            self.becomes(State::Copied { target: target.clone(), announced: self.announced })?;
            fault::point("after_copied_mark");
            match self.remove(from) {
                Ok(Put::Away) => {
                    self.becomes(State::Archived { target })?;
                    return Ok(Put::Away);
                }
                Ok(Put::Changed) => {}
                Err(error) => {
                    remove_copy(&target);
                    return self.stays(error);
                }
            }
        }
        remove_copy(&target);
        self.becomes(State::Reading)?;
        Ok(Put::Changed)
    }

    fn delete(mut self) -> Result<Put, Error> {
        let path = self.checkpoint.path.clone();
        self.becomes(State::Deleting)?;
        fault::point("after_deleting_mark");
        match self.remove(&path) {
            Ok(Put::Away) => self.becomes(State::Deleted)?,
            Ok(Put::Changed) => {
                self.becomes(State::Reading)?;
                return Ok(Put::Changed);
            }
            Err(error) => return self.stays(error),
        }
        Ok(Put::Away)
    }

    /// Removes the file, unless it has changed. It gets another name first, so that what is looked at last is what is
    /// removed, and not what may have come under its name since.
    fn remove(&self, path: &Path) -> Result<Put, Error> {
        let aside = aside(path, self.checkpoint.file_id);
        move_without_replacing(path, &aside).map_err(|source| Error::Move {
            from: path.to_owned(),
            to: aside.clone(),
            source,
        })?;
        fault::point("after_moved_aside");
        if !is_as_moved(&aside, self.announced) {
            put_back(&aside, path)?;
            return Ok(Put::Changed);
        }
        if let Err(source) = remove_and_sync(&aside) {
            put_back(&aside, path)?;
            return Err(Error::Delete { path: path.to_owned(), source });
        }
        fault::point("after_removed");
        Ok(Put::Away)
    }
}

/// Removes a copy that this process has just made.
fn remove_copy(target: &Path) {
    if let Err(error) = remove_and_sync(target) {
        tracing::warn!(file = %target.display(), %error, "an outdated copy cannot be removed from the archive");
    }
}

/// Puts a file of the archive back that was written meanwhile, to be read on.
pub(crate) fn bring_back(
    store: &Store,
    checkpoint: Checkpoint,
    target: &Path,
    announced: FileStat,
) -> Result<(), Error> {
    let path = checkpoint.path.clone();
    let mut file = Leaving { store, checkpoint, announced };
    // As on its way there: a crash between the steps is recovered from.
    file.becomes(State::Archiving { target: target.to_owned(), announced: Some(announced) })?;
    put_back(target, &path)?;
    file.becomes(State::Reading)?;
    Ok(())
}

/// Whether the file in the archive, which was as `announced`, has more bytes by now.
pub(crate) fn has_grown(target: &Path, announced: FileStat) -> bool {
    let found = fs::metadata(target).map(|found| FileStat::from(&found));
    found.is_ok_and(|found| found.inode == announced.inode && found.size > announced.size)
}

/// Whether the file at `path` is as it was before its end was read. It is opened, since some network file systems
/// look at their server only then.
fn is_as_announced(path: &Path, announced: FileStat) -> bool {
    let found = File::open(path).and_then(|file| file.metadata());
    found.is_ok_and(|found| FileStat::from(&found) == announced)
}

/// The same for a file that was renamed meanwhile.
pub(crate) fn is_as_moved(path: &Path, announced: FileStat) -> bool {
    let found = File::open(path).and_then(|file| file.metadata());
    found.is_ok_and(|found| FileStat::from(&found).is_same_but_for_its_name(&announced))
}

/// `orders.csv.gz` of file 42 is `orders.42.csv.gz` in the archive, so that a file of the same name can come again.
fn archived_name(checkpoint: &Checkpoint) -> String {
    labelled(&checkpoint.path, &checkpoint.file_id.to_string())
}

/// The file's name with a label before its ending, in whatever case that is: it tells the format.
fn labelled(path: &Path, label: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_ascii_lowercase();
    let dot = [".csv", ".tsv"].iter().filter_map(|ending| lower.rfind(ending)).max().unwrap_or(name.len());
    format!("{}.{label}{}", &name[..dot], &name[dot..])
}

/// Where a file waits to be removed: in its directory, under a name that is not read.
fn aside(path: &Path, file: FileId) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{file}.removing"))
}

#[cfg(test)]
mod tests;
