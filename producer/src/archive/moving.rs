//! Moving, copying and removing files such that nothing is replaced, and that a power failure finds either the one state
//! or the other.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use common::fault;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Error, labelled};

/// Bytes of one comparison.
const BLOCK: usize = 256 << 10;

/// Gives a file another name, unless that is taken. Both directories are on disk before it returns.
pub(super) fn move_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    move_unsynced(from, to)?;
    sync_parents(from, to)
}

/// The same; that both directories are on disk is up to the caller.
pub(super) fn move_unsynced(from: &Path, to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    rename_without_replacing(from, to)
}

/// Directories in which names have changed.
#[derive(Debug, Default)]
pub(super) struct Dirs(BTreeSet<PathBuf>);

impl Dirs {
    /// Takes note of a file that was moved.
    pub(super) fn changed(&mut self, from: &Path, to: &Path) {
        self.0.extend([from, to].into_iter().filter_map(Path::parent).map(Path::to_owned));
    }

    /// Brings all of them to disk; the error is about one of them.
    pub(super) fn sync(&self) -> Result<(), (PathBuf, io::Error)> {
        for dir in self.0.iter().filter(|dir| !dir.as_os_str().is_empty()) {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| (dir.clone(), error))?;
        }
        Ok(())
    }
}

/// Copies a file to another file system. The copy gets its name when it is on disk and was compared.
pub(super) fn copy_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    // What a crash has left there is ours: the name has the file's id.
    let part = part_of(to);
    let copied = copy_and_compare(from, &part).and_then(|()| {
        fault::point("after_partial_copy");
        rename_without_replacing(&part, to)
    });
    if let Err(error) = copied {
        // It may not have been begun.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    sync_parents(to, to)
}

/// Where a copy is until it is whole: beside it, under a name that nobody takes for a file of the archive.
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
    // Some file systems have no permissions, or no such times; the bytes are what counts.
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

/// Puts a file back that was moved and had changed: in its place, or beside what has come there since.
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

/// Removes a file; that is on disk before it returns.
pub(super) fn remove_and_sync(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_parents(path, path)
}

fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some file systems cannot rename without replacing; a link never replaces.
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
