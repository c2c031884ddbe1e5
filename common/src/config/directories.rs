//! Directories that must be apart: one that holds another one, or is it, would be read, archived into or emptied by
//! two that do not know of each other.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Config;

/// So many links lead nowhere.
const LINKS: u32 = 40;

/// The key of one that overlaps another one, with the rest of its line.
pub(super) fn first_overlap(config: &Config) -> Option<(String, String)> {
    let directories = [
        ("tail.landing_dir", "the landing directory", config.landing_dir()),
        ("tail.archive_dir", "the archive directory", config.archive_dir()),
        ("tail.checkpoint_dir", "the checkpoint directory", config.checkpoint_dir()),
        ("data_dir", "the private services' directory", config.data_dir.join("sandbox")),
    ];
    for (number, (_, name, dir)) in directories.iter().enumerate() {
        for (key, other_name, other) in &directories[number + 1..] {
            let relation = relation(other, dir).or_else(|| {
                // Said from the other side.
                relation(dir, other).map(|_| "holds")
            });
            if let Some(relation) = relation {
                let (dir, other) = (dir.display(), other.display());
                let what = format!(
                    "makes {other_name}, {other}, {relation} {name}, {dir}: name directories of which none lies in another"
                );
                return Some(((*key).to_owned(), what));
            }
        }
    }
    None
}

/// How `inner` lies to `outer`, if it is it or lies in it.
fn relation(inner: &Path, outer: &Path) -> Option<&'static str> {
    let (inner, outer) = (resolved(inner, LINKS)?, resolved(outer, LINKS)?);
    if is_same(&inner, &outer) {
        return Some("the same as");
    }
    inner.ancestors().any(|above| is_same(above, &outer)).then_some("lie in")
}

/// By name, or by what the file system says: names may differ in case, and a directory may be mounted twice.
fn is_same(a: &Path, b: &Path) -> bool {
    let id = |path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    a == b || id(a).is_some_and(|id_a| Some(id_a) == id(b))
}

/// The path without links and `..`, as far as it exists; `None` where links go round in circles.
fn resolved(path: &Path, links: u32) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in std::path::absolute(path).ok()?.components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            part => {
                let next = whole.join(part);
                whole = match fs::read_link(&next) {
                    Ok(target) => resolved(&whole.join(target), links.checked_sub(1)?)?,
                    Err(_) => next,
                };
            }
        }
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn rule_directories_are_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("data/landing")).unwrap();
        fs::create_dir_all(path("in")).unwrap();
        symlink(path("in"), path("to_in")).unwrap();
        symlink("new", path("to_new")).unwrap();
        symlink("round", path("round")).unwrap();
        let found = |landing: &str, archive: &str, checkpoints: &str| {
            let mut config = Config { data_dir: path("data"), ..Config::default() };
            let set = |name: &str| (!name.is_empty()).then(|| path(name));
            config.tail.landing_dir = set(landing);
            config.tail.archive_dir = set(archive);
            config.tail.checkpoint_dir = set(checkpoints);
            first_overlap(&config).map(|(key, what)| format!("{key} {what}"))
        };
        for (landing, archive, checkpoints) in [
            ("", "", ""),
            ("in", "", ""),
            ("in", "in2", "in3"),
            ("", "data/landing2", "to_new"),
            ("", "round", ""),
        ] {
            assert_eq!(found(landing, archive, checkpoints), None, "{landing} {archive} {checkpoints}");
        }
        for (landing, archive, checkpoints, expected) in [
            ("in", "in", "", "the same as the landing"),
            ("in", "to_in", "", "the same as the landing"),
            ("to_in", "in/archive", "", "lie in the landing"),
            ("in/new", "in", "", "holds the landing"),
            ("in", "data/../in/./", "", "the same as the landing"),
            ("in", "nowhere/../in/x", "", "lie in the landing"),
            ("new", "to_new", "", "the same as the landing"),
            ("data/sandbox", "", "", "the same as the landing"),
            ("data/sandbox/in", "", "", "holds the landing"),
            ("data", "", "", "lie in the landing"),
            ("data/archive", "", "", "the same as the landing"),
            ("", "", "data/landing", "the same as the landing"),
            ("in", "in2", "in2/checkpoints", "lie in the archive"),
        ] {
            let line = found(landing, archive, checkpoints).unwrap_or_default();
            assert!(line.contains(expected), "{landing} {archive} {checkpoints}: {line:?}");
        }
    }
}
