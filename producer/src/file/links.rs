//! Symbolic links in the landing directory, which are never read. The target is either a file of the directory, which is
//! read under its own name, or outside of it, and then neither opened nor printed.

use std::fs;
use std::io;
use std::path::Path;

/// The target of a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A file of the same directory that is read under this name.
    Neighbour(String),
    /// In the directory, and not read under its own name.
    Inside,
    /// Outside of the directory.
    Leaves,
    /// Missing.
    Dangling,
    /// The link cannot be followed, for this reason.
    Unknown(String),
}

impl Link {
    /// `is_read` is whether files of a name are read.
    pub(crate) fn of(path: &Path, is_read: impl FnOnce(&Path) -> bool) -> Self {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let resolved = fs::canonicalize(dir).and_then(|dir| Ok((dir, fs::canonicalize(path)?)));
        let (dir, target) = match resolved {
            Ok(both) => both,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::Dangling,
            Err(error) => return Self::Unknown(error.to_string()),
        };
        if !target.starts_with(&dir) {
            return Self::Leaves;
        }
        let is_file = fs::symlink_metadata(&target).is_ok_and(|target| target.is_file());
        match target.file_name() {
            Some(name) if target.parent() == Some(&dir) && is_file && is_read(&target) => {
                Self::Neighbour(name.to_string_lossy().into_owned())
            }
            _ => Self::Inside,
        }
    }

    /// Whether rows may be missing because it is not read.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Inside | Self::Leaves | Self::Unknown(_))
    }

    /// A sentence without the target, unless that is in the directory.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Neighbour(name) => format!("is a link to {name}, which is read under that name"),
            Self::Inside => "is a symbolic link to what is not read under its own name; rename that file".to_owned(),
            Self::Leaves => {
                "is a symbolic link that leaves its directory, and is not followed; copy the file here, or make a \
                 hard link"
                    .to_owned()
            }
            Self::Dangling => "is a symbolic link to a file that is not there".to_owned(),
            Self::Unknown(error) => format!("is a symbolic link that cannot be followed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn rule_links_stay_inside() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("landing");
        fs::create_dir_all(dir.join("sub")).unwrap();
        // The directory itself may be a link.
        symlink(&dir, outer.path().join("other")).unwrap();
        for name in ["landing/a.csv", "landing/sub/b.csv", "landing/c.txt", "d.csv"] {
            fs::write(outer.path().join(name), "secret").unwrap();
        }
        let neighbour = Link::Neighbour("a.csv".to_owned());
        let absolute = dir.join("a.csv");
        let cases = [
            ("a.csv", neighbour.clone()),
            ("../landing/a.csv", neighbour.clone()),
            (absolute.to_str().unwrap(), neighbour.clone()),
            ("1.csv", neighbour),
            ("sub/b.csv", Link::Inside),
            ("sub", Link::Inside),
            ("c.txt", Link::Inside),
            ("../d.csv", Link::Leaves),
            ("..", Link::Leaves),
            ("/proc/self/environ", Link::Leaves),
            ("nothing.csv", Link::Dangling),
        ];
        for (number, (target, link)) in (1..).zip(cases) {
            let name = format!("{number}.csv");
            symlink(target, dir.join(&name)).unwrap();
            for dir in [&dir, &outer.path().join("other")] {
                let found = Link::of(&dir.join(&name), |path| path.extension().is_some_and(|it| it == "csv"));
                assert_eq!(found, link, "{target}");
                assert!(link == Link::Neighbour("a.csv".to_owned()) || !found.why().contains(target));
            }
        }
        let loops = dir.join("loops.csv");
        symlink(&loops, &loops).unwrap();
        assert!(matches!(Link::of(&loops, |_| true), Link::Unknown(_)));
    }
}
