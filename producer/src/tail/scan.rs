//! What files there are: `*.csv` and `*.tsv`, each also with `.gz` or `.zst`. Others are said once and left alone.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tail::identity::Seen;

/// Endings of the files that are read.
const ENDINGS: [&str; 6] = [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"];

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

    /// Every file that is to be read, the oldest first; `None` while the directory cannot be read.
    pub(crate) fn scan(&mut self) -> Option<Vec<(PathBuf, Seen)>> {
        match self.list() {
            Ok(files) => {
                if std::mem::take(&mut self.unreadable) {
                    tracing::info!(dir = %self.dir.display(), "the landing directory can be read again");
                }
                Some(files)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    tracing::error!(dir = %self.dir.display(), %error, "the landing directory cannot be read; trying again");
                }
                None
            }
        }
    }

    fn list(&mut self) -> io::Result<Vec<(PathBuf, Seen)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // A file that goes away between the two calls is none.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if metadata.is_file() && self.wants(&path) {
                files.push((path, Seen::from(&metadata)));
            }
        }
        files.sort_by(|(a, seen_a), (b, seen_b)| (seen_a.written_us, a).cmp(&(seen_b.written_us, b)));
        Ok(files)
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
            found.iter().map(|(path, _)| path.file_name().unwrap().to_string_lossy()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a.csv", "b.TSV", "c.csv.gz", "g.tsv.zst"]);
    }

    #[test]
    fn a_directory_that_is_gone_is_no_empty_one() {
        assert_eq!(Scanner::new(Path::new("/nonexistent/landing")).scan(), None);
    }
}
