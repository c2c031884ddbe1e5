//! Lists the files of a directory: `*.csv` and `*.tsv`, each also with `.gz` or `.zst`. Others, and links, are logged once
//! and ignored.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use common::printable::{Printable, printable};

use crate::file::identity::FileStat;
use crate::file::links::Link;

/// Endings of the files that are read.
const ENDINGS: [&str; 6] = [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"];

/// The result of one scan.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files that are to be read, the oldest first.
    pub files: Vec<(PathBuf, FileStat)>,
    /// Symbolic links that are not read, with the reason.
    pub refused: Vec<(PathBuf, String)>,
    /// Entries whose metadata cannot be read.
    unseen: HashSet<PathBuf>,
    places: HashMap<PathBuf, u64>,
    inodes: HashSet<u64>,
}

impl Found {
    /// Whether the file that has this inode is still, or may be, at `path`.
    pub(crate) fn is_at(&self, path: &Path, inode: u64) -> bool {
        self.places.get(path) == Some(&inode) || self.unseen.contains(path)
    }

    /// Whether there is a file, a link that is not read, or an unreadable entry of this name.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.places.contains_key(path)
            || self.unseen.contains(path)
            || self.refused.iter().any(|(link, _)| link == path)
    }

    /// Whether a file of any name has this inode, or may have it.
    pub(crate) fn may_have(&self, inode: u64) -> bool {
        !self.unseen.is_empty() || self.inodes.contains(&inode)
    }
}

#[derive(Debug)]
pub(crate) struct Scanner {
    dir: PathBuf,
    /// Names of entries that were logged and are still there.
    ignored: HashSet<OsString>,
    unreadable: bool,
}

impl Scanner {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), ignored: HashSet::new(), unreadable: false }
    }

    /// `None` while the directory cannot be read, which is logged.
    pub(crate) fn scan(&mut self) -> Option<Found> {
        match self.list() {
            Ok(found) => {
                if std::mem::take(&mut self.unreadable) {
                    tracing::info!(dir = %Printable(self.dir.display()), "the landing directory can be read again");
                }
                Some(found)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    tracing::error!(dir = %Printable(self.dir.display()), %error, "the landing directory cannot be read; trying again");
                }
                None
            }
        }
    }

    pub(crate) fn list(&mut self) -> io::Result<Found> {
        self.list_by(DirEntry::metadata)
    }

    /// `metadata` must not follow links.
    fn list_by(&mut self, metadata: impl Fn(&DirEntry) -> io::Result<Metadata>) -> io::Result<Found> {
        let mut found = Found::default();
        let mut names = HashSet::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            let metadata = metadata(&entry);
            if self.ignored.contains(&entry.file_name()) {
                names.insert(entry.file_name());
            }
            match metadata {
                Ok(metadata) if metadata.is_symlink() => self.link(path, &mut found),
                Ok(metadata) if metadata.is_file() && self.wants(&path) => {
                    found.files.push((path, FileStat::from(&metadata)));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound && self.wants(&path) => {
                    found.unseen.insert(path);
                }
                // A file that is removed between the two calls does not count.
                _ => {}
            }
        }
        self.ignored.retain(|name| names.contains(name) || self.dir.join(name).symlink_metadata().is_ok());
        found.files.sort_by(|(a, stat_a), (b, stat_b)| (stat_a.written_us, a).cmp(&(stat_b.written_us, b)));
        found.places = found.files.iter().map(|(path, stat)| (path.clone(), stat.inode)).collect();
        found.inodes = found.places.values().copied().collect();
        Ok(found)
    }

    fn link(&mut self, path: PathBuf, found: &mut Found) {
        if !self.wants(&path) {
            return;
        }
        let link = Link::of(&path, is_read);
        if link.is_refused() {
            found.refused.push((path, link.why()));
        } else if self.ignored.insert(path.file_name().unwrap_or_default().to_owned()) {
            tracing::warn!(file = %Printable(path.display()), "ignored: {}", printable(&link.why()));
        }
    }

    /// Whether a file of this name is to be read.
    pub(crate) fn wants(&mut self, path: &Path) -> bool {
        let wanted = is_read(path);
        if !wanted
            && !is_skipped(path)
            && self.ignored.insert(path.file_name().unwrap_or_default().to_owned())
        {
            tracing::warn!(
                file = %Printable(path.display()),
                "ignored: only *.csv and *.tsv are read, also with .gz or .zst"
            );
        }
        wanted
    }
}

fn is_read(path: &Path) -> bool {
    let lower = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !is_skipped(path) && ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// Whether the file is hidden, or not complete yet.
fn is_skipped(path: &Path) -> bool {
    let is_hidden = path.file_name().unwrap_or_default().to_string_lossy().starts_with('.');
    is_hidden || path.extension().is_some_and(|extension| extension == "part")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<String> {
        let mut names: Vec<_> =
            paths.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn finds_files_by_their_ending() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.csv", "b.TSV", "c.csv.gz", "d.csv.part", ".e.csv", "f.txt", "g.tsv.zst"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join("h.csv")).unwrap();
        let mut scanner = Scanner::new(dir.path());
        let found = scanner.scan().unwrap();
        assert_eq!(
            names(found.files.iter().map(|(path, _)| path)),
            ["a.csv", "b.TSV", "c.csv.gz", "g.tsv.zst"]
        );
        // Hidden files, and those that are not complete yet, are not logged.
        assert_eq!(scanner.ignored, HashSet::from(["f.txt".into()]));
    }

    #[test]
    fn a_file_is_where_its_inode_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "x").unwrap();
        let found = Scanner::new(dir.path()).list().unwrap();
        let [(_, stat)] = &found.files[..] else { panic!("there is one file: {found:?}") };
        assert!(found.is_at(&path, stat.inode) && found.has(&path) && found.may_have(stat.inode));
        assert!(!found.is_at(&path, stat.inode + 1) && !found.may_have(stat.inode + 1));
        assert!(!found.has(&dir.path().join("b.csv")));
    }

    #[test]
    fn a_directory_that_is_gone_is_no_empty_one() {
        assert!(Scanner::new(Path::new("/nonexistent/landing")).scan().is_none());
    }

    #[test]
    fn a_file_whose_metadata_cannot_be_read_is_not_gone() {
        let dir = tempfile::tempdir().unwrap();
        let hidden = dir.path().join("a.csv");
        fs::write(&hidden, "x").unwrap();
        let denied = |_: &DirEntry| Err(io::ErrorKind::PermissionDenied.into());
        let found = Scanner::new(dir.path()).list_by(denied).unwrap();
        assert!(found.files.is_empty() && found.is_at(&hidden, 7) && found.may_have(7) && found.has(&hidden));
        // One that went away meanwhile is gone, and others than files to read do not matter.
        let gone = |_: &DirEntry| Err(io::ErrorKind::NotFound.into());
        let found = Scanner::new(dir.path()).list_by(gone).unwrap();
        assert!(!found.is_at(&hidden, 7) && !found.may_have(7) && !found.has(&hidden));
        fs::rename(hidden, dir.path().join("a.txt")).unwrap();
        assert!(!Scanner::new(dir.path()).list_by(denied).unwrap().may_have(7));
    }

    #[test]
    fn rule_links_stay_inside_and_none_is_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("events.csv"), "x").unwrap();
        for (name, target) in [
            ("a_latest.csv", "events.csv"),
            ("z_latest.csv", "events.csv"),
            ("dangling.csv", "gone.csv"),
            ("env.csv", "/proc/self/environ"),
            ("env.txt", "/proc/self/environ"),
        ] {
            symlink(target, dir.path().join(name)).unwrap();
        }
        let mut scanner = Scanner::new(dir.path());
        for _ in 0..2 {
            let found = scanner.list().unwrap();
            assert_eq!(names(found.files.iter().map(|(path, _)| path)), ["events.csv"]);
            let [(path, why)] = &found.refused[..] else { panic!("one is refused: {found:?}") };
            assert!(path.ends_with("env.csv") && found.has(path));
            assert!(why.contains("leaves its directory") && !why.contains("proc"), "{why}");
        }
    }

    #[test]
    fn names_that_went_away_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut scanner = Scanner::new(dir.path());
        for name in 0..10 {
            let path = dir.path().join(format!("{name}.txt"));
            fs::write(&path, "x").unwrap();
            scanner.list().unwrap();
            assert_eq!(scanner.ignored.len(), 1);
            scanner.list().unwrap();
            fs::remove_file(&path).unwrap();
            // As a notification brings it.
            scanner.wants(&dir.path().join("short-lived.txt"));
        }
        scanner.list().unwrap();
        assert!(scanner.ignored.is_empty());
    }
}
