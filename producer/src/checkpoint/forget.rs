//! Deletes every position of a checkpoint directory. Only files that a store has made are deleted, each by its name, since
//! the directory is configured and may have other files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;

use crate::checkpoint::database::{APPLICATION_ID, STORE, with_ending};
use crate::checkpoint::disk::{Error, SOURCE_ID, TEMPORARY, io_error};
use crate::checkpoint::revisions::REVISION_LIMIT;

/// The keys that every version of a checkpoint has.
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "version")]
    _version: u32,
    file_id: i64,
}

/// Other files in `dir` stay, and links are not followed.
pub(crate) fn forget(dir: &Path) -> Result<(), Error> {
    // The log first: without its store it would be read as that of the next one.
    for ending in ["-shm", "-wal", ""] {
        let path = with_ending(&dir.join(STORE), ending);
        if is_store(&dir.join(STORE)) && is_file(&path) {
            remove(&path)?;
        }
    }
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io_error("list", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(io_error("list", dir))?;
        let path = entry.path();
        let is_file = entry.file_type().map_err(io_error("examine", &path))?.is_file();
        if is_file && entry.file_name().to_str().is_some_and(|name| is_ours(&path, name)) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io_error("remove", path)),
    }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// By its header.
fn is_store(path: &Path) -> bool {
    let header = || {
        let mut header = [0; 72];
        File::open(path)?.read_exact(&mut header).map(|()| header)
    };
    is_file(path) && header().is_ok_and(|header| header[68..] == APPLICATION_ID.to_be_bytes())
}

/// `source_id`, `revision_limit`, the temporary files of an interrupted write, and of the version before `ID.json` that
/// is a checkpoint and `ID.ahead`.
fn is_ours(path: &Path, name: &str) -> bool {
    let (name, is_temporary) = match name.strip_suffix(TEMPORARY) {
        Some(name) => (name, true),
        None => (name, false),
    };
    if let Some(id) = name.strip_suffix(".json").and_then(file_id) {
        return is_temporary || is_checkpoint(path, id);
    }
    matches!(name, SOURCE_ID | REVISION_LIMIT)
        || (is_temporary && name == STORE)
        || (!is_temporary && name.strip_suffix(".ahead").and_then(file_id).is_some())
}

fn file_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == text)
}

/// By its content, since any program may have made a `2024.json`.
fn is_checkpoint(path: &Path, id: i64) -> bool {
    let marks = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Marks>(&bytes).ok());
    marks.is_some_and(|marks| marks.file_id == id)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use common::{Clock, FileId};

    use super::*;
    use crate::checkpoint::{Checkpoint, SentPosition, Store};
    use crate::file::identity::Identity;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn rule_only_own_files_are_deleted_of_checkpoints() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let theirs = [
            "+7.ahead",
            "-5.ahead",
            "0.ahead",
            "007.ahead",
            "2024.json",
            "7.json.bak",
            "holiday.jpg",
            "notes.json",
            "source_id.txt",
            "x.ahead",
        ];
        for name in theirs {
            fs::write(dir.join(name), r#"{"version":1,"file_id":"2024"}"#).unwrap();
        }
        fs::create_dir(dir.join("9.json")).unwrap();
        fs::write(dir.join("9.json/kept"), "").unwrap();
        symlink(dir.join("holiday.jpg"), dir.join("8.ahead")).unwrap();
        let before = names(dir);

        let ours = tempfile::tempdir().unwrap();
        let store = Store::open(ours.path()).unwrap();
        let file = FileId::from(42);
        let identity = Identity { inode: 1, head_length: 2, head_hash: 3, incarnation: 0 };
        let checkpoint = Checkpoint::new(file, identity, Path::new("a.csv"));
        // As the version before wrote them.
        fs::write(ours.path().join("42.json"), serde_json::to_vec(&checkpoint).unwrap()).unwrap();
        fs::write(ours.path().join("42.ahead"), serde_json::to_vec(&SentPosition::default()).unwrap())
            .unwrap();
        store.put(checkpoint);
        store.flush().unwrap();
        store.next_revision(Clock::System).unwrap();
        for name in names(ours.path()) {
            fs::copy(ours.path().join(&name), dir.join(&name)).unwrap();
            if !["42.ahead", "checkpoints.db-wal", "checkpoints.db-shm"].contains(&&*name) {
                fs::copy(ours.path().join(&name), ours.path().join(name + TEMPORARY)).unwrap();
            }
        }

        forget(dir).unwrap();
        assert_eq!(names(dir), before);
        forget(ours.path()).unwrap();
        assert_eq!(names(ours.path()), [""; 0], "everything that a store has made is forgotten");
        forget(&dir.join("nowhere")).unwrap();
    }

    #[test]
    fn rule_only_own_files_are_deleted_and_a_database_of_that_name_may_be_another_program_s() {
        let dir = tempfile::tempdir().unwrap();
        for name in [STORE, "checkpoints.db-wal"] {
            fs::write(dir.path().join(name), "SQLite format 3 of somebody else").unwrap();
        }
        let before = names(dir.path());
        forget(dir.path()).unwrap();
        assert_eq!(names(dir.path()), before);
    }
}
