//! What becomes of a file whose every row is in a table: archived, kept or deleted, by configuration.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use common::config::OnClose;
use common::fault;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::checkpoint::{self, Checkpoint, State, Store};
use crate::tail::identity::Seen;

/// Why a file could not be put away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to move {} to {}", from.display(), to.display())]
    Move { from: PathBuf, to: PathBuf, source: io::Error },
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
    /// It grew meanwhile and is still, or again, in its place.
    Grew,
}

/// Puts away the closed file of `checkpoint`, which was `seen` when its end was read.
pub(crate) fn put_away(
    store: &Store,
    mut checkpoint: Checkpoint,
    seen: Seen,
    on_close: OnClose,
    archive_dir: &Path,
) -> Result<Put, Error> {
    if !is_as_seen(&checkpoint.path, seen) {
        return Ok(Put::Grew);
    }
    match on_close {
        OnClose::Keep => checkpoint.state = State::Kept,
        OnClose::Delete => {
            checkpoint.state = State::Deleted;
            let path = checkpoint.path.clone();
            fs::remove_file(&path).map_err(|source| Error::Delete { path, source })?;
        }
        OnClose::Archive => {
            let target = archive_dir.join(archived_name(&checkpoint));
            // To be found from wherever a later process runs.
            let target = std::path::absolute(&target).unwrap_or(target);
            checkpoint.state = State::Archiving { target: target.clone() };
            store.put(checkpoint.clone())?;
            fault::point("after_archiving_mark");
            if let Err(error) = move_without_replacing(&checkpoint.path, &target) {
                checkpoint.state = State::Reading;
                store.put(checkpoint)?;
                return Err(error);
            }
            fault::point("after_archive_rename");
            if !is_as_seen(&target, seen) {
                move_without_replacing(&target, &checkpoint.path)?;
                checkpoint.state = State::Reading;
                store.put(checkpoint)?;
                return Ok(Put::Grew);
            }
            checkpoint.state = State::Archived { target };
        }
    }
    store.put(checkpoint)?;
    Ok(Put::Away)
}

/// Ends the moves which a crash has cut. A file that is in neither place keeps its mark: when it turns up, under
/// whatever name, it goes on.
pub(crate) fn end_moves(store: &Store) -> Result<(), checkpoint::Error> {
    for mut checkpoint in store.select(|checkpoint| matches!(checkpoint.state, State::Archiving { .. })) {
        let State::Archiving { target } = checkpoint.state.clone() else { continue };
        let inode = checkpoint.identity.inode;
        let (from, to) = (device_of(&checkpoint.path, inode), device_of(&target, inode));
        if to.is_some() && to == from {
            // Linked to its new name, and not yet without the old one.
            if let Err(error) = fs::remove_file(&checkpoint.path) {
                tracing::warn!(file = %checkpoint.path.display(), %error, "is in the archive too");
            }
        }
        checkpoint.state = match (from, to) {
            (_, Some(_)) => State::Archived { target },
            (Some(_), None) => State::Reading,
            (None, None) => continue,
        };
        store.put(checkpoint)?;
    }
    Ok(())
}

/// On which device the file is that has this inode, if it is the one at `path`.
fn device_of(path: &Path, inode: u64) -> Option<u64> {
    fs::metadata(path).ok().filter(|found| found.ino() == inode).map(|found| found.dev())
}

fn is_as_seen(path: &Path, seen: Seen) -> bool {
    fs::metadata(path).is_ok_and(|found| (found.len(), Seen::from(&found).inode) == (seen.size, seen.inode))
}

/// `orders.csv.gz` of file 42 is `orders.42.csv.gz` in the archive, so that a file of the same name can come again.
fn archived_name(checkpoint: &Checkpoint) -> String {
    let name = checkpoint.path.file_name().unwrap_or_default().to_string_lossy();
    let dot = [".csv", ".tsv"].iter().find_map(|ending| name.rfind(ending)).unwrap_or(name.len());
    format!("{}.{}{}", &name[..dot], checkpoint.file_id, &name[dot..])
}

fn move_without_replacing(from: &Path, to: &Path) -> Result<(), Error> {
    let moved = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => sync_parents(from, to),
            Err(rustix::io::Errno::XDEV) => Err(io::Error::other(
                "it is another file system; set tail.archive_dir to a directory on the same one, or tail.on_close to keep",
            )),
            // Some file systems cannot rename without replacing; a link never replaces.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(from, to).and_then(|()| fs::remove_file(from)).and_then(|()| sync_parents(from, to))
            }
            Err(errno) => Err(errno.into()),
        }
    });
    moved.map_err(|source| Error::Move { from: from.to_owned(), to: to.to_owned(), source })
}

fn sync_parents(from: &Path, to: &Path) -> io::Result<()> {
    for dir in [from.parent(), to.parent()].into_iter().flatten().filter(|dir| !dir.as_os_str().is_empty()) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
