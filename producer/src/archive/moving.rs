//! Moves, copies and removes files. Nothing is replaced, and after a power failure each step has either happened or not.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use common::fault;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Error, labelled};

/// Bytes of one comparison.
const BLOCK: usize = 256 << 10;

/// Renames a file, unless the name is taken. Both directories are synced.
pub(super) fn move_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    move_unsynced(from, to)?;
    sync_parents(from, to)
}

/// The same; the caller has to sync both directories.
pub(super) fn move_unsynced(from: &Path, to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    rename_without_replacing(from, to)
}

/// Directories that have to be synced.
#[derive(Debug, Default)]
pub(super) struct Dirs(BTreeSet<PathBuf>);

impl Dirs {
    pub(super) fn changed(&mut self, from: &Path, to: &Path) {
        self.0.extend([from, to].into_iter().filter_map(Path::parent).map(Path::to_owned));
    }

    pub(super) fn sync(&self) -> Result<(), (PathBuf, io::Error)> {
        for dir in self.0.iter().filter(|dir| !dir.as_os_str().is_empty()) {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| (dir.clone(), error))?;
        }
        Ok(())
    }
}

/// Copies a file to another file system. The copy gets its name after it was synced and compared.
pub(super) fn copy_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    // A crash has left it: the name has the file's id.
    let part = part_of(to);
    let copied = copy_and_compare(from, &part).and_then(|()| {
        fault::point("after_partial_copy");
        rename_without_replacing(&part, to)
    });
    if let Err(error) = copied {
        // It may not exist.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    sync_parents(to, to)
}

/// The name of a copy until it is complete.
pub(super) fn part_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.part"))
}

fn copy_and_compare(from: &Path, part: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = File::create(part)?;
    io::copy(&mut source, &mut copy)?;
    let metadata = source.metadata()?;
    let times = FileTimes::new().set_modified(metadata.modified()?);
    // Some file systems have no permissions, or no such times. Only the bytes have to be the same.
    let _ = copy.set_permissions(metadata.permissions()).and_then(|()| copy.set_times(times));
    copy.sync_all()?;
    if is_beginning_of(part, from)? && copy.metadata()?.len() == metadata.len() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the copy is not the same"))
}

/// Whether `whole` begins with all bytes of `beginning`.
pub(super) fn is_beginning_of(beginning: &Path, whole: &Path) -> io::Result<bool> {
    let (mut beginning, mut whole) = (File::open(beginning)?, File::open(whole)?);
    let (mut ours, mut theirs) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        let length = beginning.read(&mut ours)?;
        if length == 0 {
            return Ok(true);
        }
        match whole.read_exact(&mut theirs[..length]) {
            Ok(()) if ours[..length] == theirs[..length] => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            _ => return Ok(false),
        }
    }
}

/// Moves a file back that had changed: to its name, or to another one if that is taken by now.
pub(super) fn put_back(from: &Path, place: &Path) -> Result<(), Error> {
    let mut number = 2;
    let mut to = place.to_owned();
    loop {
        match move_without_replacing(from, &to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                to = place.with_file_name(labelled(place, &number.to_string()));
                number += 1;
            }
            Err(source) => return Err(Error::Move { from: from.to_owned(), to, source }),
        }
    }
}

/// Removes a file and syncs its directory.
pub(super) fn remove_and_sync(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_parents(path, path)
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some file systems cannot rename without replacing. A hard link never replaces.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
        }
        Err(errno) => Err(errno.into()),
    }
}

fn sync_parents(from: &Path, to: &Path) -> io::Result<()> {
    let mut dirs = Dirs::default();
    dirs.changed(from, to);
    dirs.sync().map_err(|(_, error)| error)
}
