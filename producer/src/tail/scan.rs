//! What files there are: `*.csv` and `*.tsv`, each also with `.gz` or `.zst`. Others are said once and left alone.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tail::identity::Seen;

/// Endings of the files that are read.
const ENDINGS: [&str; 6] = [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"];

/// What one look at a directory has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files that are to be read, the oldest first.
    pub files: Vec<(PathBuf, Seen)>,
    /// Entries that are there and cannot be looked at.
    unseen: HashSet<PathBuf>,
    places: HashMap<PathBuf, u64>,
    inodes: HashSet<u64>,
}

impl Found {
    /// Whether the file that has this inode is still, or may be, at `path`.
    pub(crate) fn is_at(&self, path: &Path, inode: u64) -> bool {
        self.places.get(path) == Some(&inode) || self.unseen.contains(path)
    }

    /// Whether there is a file, or an entry that cannot be looked at, of this name.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.places.contains_key(path) || self.unseen.contains(path)
    }

    /// Whether a file of any name has this inode, or may have it.
    pub(crate) fn may_have(&self, inode: u64) -> bool {
        !self.unseen.is_empty() || self.inodes.contains(&inode)
    }
}

/// Looks through one directory.
#[derive(Debug)]
pub(crate) struct Scanner {
    dir: PathBuf,
    ignored: HashSet<OsString>,
    unreadable: bool,
}

impl Scanner {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), ignored: HashSet::new(), unreadable: false }
    }

    /// What there is; `None` while the directory cannot be read.
    pub(crate) fn scan(&mut self) -> Option<Found> {
        match self.list() {
            Ok(found) => {
                if std::mem::take(&mut self.unreadable) {
                    tracing::info!(dir = %self.dir.display(), "the landing directory can be read again");
                }
                Some(found)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    tracing::error!(dir = %self.dir.display(), %error, "the landing directory cannot be read; trying again");
                }
                None
            }
        }
    }

    /// What there is.
    pub(crate) fn list(&mut self) -> io::Result<Found> {
        let mut found = Found::default();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() && self.wants(&path) => {
                    found.files.push((path, Seen::from(&metadata)));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound && self.wants(&path) => {
                    found.unseen.insert(path);
                }
                // A file that goes away between the two calls is none.
                _ => {}
            }
        }
        found.files.sort_by(|(a, seen_a), (b, seen_b)| (seen_a.written_us, a).cmp(&(seen_b.written_us, b)));
        found.places = found.files.iter().map(|(path, seen)| (path.clone(), seen.inode)).collect();
        found.inodes = found.places.values().copied().collect();
        Ok(found)
    }

    /// Whether a file of this name is to be read.
    pub(crate) fn wants(&mut self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let lower = name.to_string_lossy().to_lowercase();
        if lower.starts_with('.') || path.extension().is_some_and(|extension| extension == "part") {
            return false;
        }
        let wanted = ENDINGS.iter().any(|ending| lower.ends_with(ending));
        if !wanted && self.ignored.insert(name.to_owned()) {
            tracing::warn!(file = %path.display(), "ignored: only *.csv and *.tsv are read, also with .gz or .zst");
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_files_by_their_ending() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.csv", "b.TSV", "c.csv.gz", "d.csv.part", ".e.csv", "f.txt", "g.tsv.zst"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = Scanner::new(dir.path()).scan().unwrap();
        let mut names: Vec<_> =
            found.files.iter().map(|(path, _)| path.file_name().unwrap().to_string_lossy()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a.csv", "b.TSV", "c.csv.gz", "g.tsv.zst"]);
    }

    #[test]
    fn a_directory_that_is_gone_is_no_empty_one() {
        assert!(Scanner::new(Path::new("/nonexistent/landing")).scan().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_gone() {
        let dir = tempfile::tempdir().unwrap();
        let loops = dir.path().join("a.csv");
        std::os::unix::fs::symlink(&loops, &loops).unwrap();
        let found = Scanner::new(dir.path()).scan().unwrap();
        assert!(found.files.is_empty() && found.is_at(&loops, 7) && found.may_have(7));
    }
}
