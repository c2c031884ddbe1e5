//! Imports the checkpoints of the version before, which were two small files for each data file. They are put into the
//! store, and then deleted.

use std::fs;
use std::path::Path;

use common::FileId;

use crate::checkpoint::database::Change;
use crate::checkpoint::disk::{Error, io_error};
use crate::checkpoint::{Checkpoint, SentPosition, VERSION};

/// Every checkpoint in `dir`, with its sent position.
pub(super) fn load(dir: &Path) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let path = entry.map_err(io_error("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let checkpoint = read(&path)?;
            let file = checkpoint.file_id;
            let sent = sent(dir, file).filter(|_| checkpoint.state.is_in_place());
            changes.push(Change { file, checkpoint: Some(checkpoint), sent });
        }
    }
    Ok(changes)
}

/// Deletes the files of checkpoints that are in the store.
pub(super) fn remove(dir: &Path, is_taken_over: impl Fn(FileId) -> Result<bool, Error>) -> Result<(), Error> {
    for change in load(dir)? {
        if !is_taken_over(change.file)? {
            tracing::warn!(file = %change.file, dir = %dir.display(), "has a checkpoint of an older version that is not in the store; it is ignored");
            continue;
        }
        for ending in ["ahead", "json"] {
            let path = dir.join(format!("{}.{ending}", change.file));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("remove", &path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Checkpoint, Error> {
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    let unreadable = |what: String| Error::Unreadable { path: path.to_owned(), what };
    let checkpoint: Checkpoint =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if checkpoint.version != VERSION {
        return Err(unreadable(format!("it has version {}", checkpoint.version)));
    }
    Ok(checkpoint)
}

/// The first line; behind it is the rest of a longer one. `None` if there is none, or it cannot be read.
fn sent(dir: &Path, file: FileId) -> Option<SentPosition> {
    let bytes = fs::read(dir.join(format!("{file}.ahead"))).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Reader, State, Store};

    const OLD: &str = r#"{"version":1,"file_id":42,"identity":{"inode":7,"head_length":3,"head_hash":9,"incarnation":0},
        "path":"a.csv","state":STATE,
        "start":{"offset":3,"row":0,"published":0,"rejected":0,"tail_hash":1,"unterminated":false},
        "reached":{"offset":9,"row":1,"published":1,"rejected":0,"tail_hash":2,"unterminated":false},
        "mapping":null,"stream":null}"#;

    fn of_before(dir: &Path, file: i64, state: &str) {
        let json = OLD.replace("42", &file.to_string()).replace("STATE", state);
        fs::write(dir.join(format!("{file}.json")), json).unwrap();
    }

    #[test]
    fn checkpoints_of_the_version_before_are_taken_over_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        of_before(dir, 42, r#"{"archived":{"target":"a.42.csv"}}"#);
        of_before(dir, 43, r#""reading""#);
        let sent = r#"{"reached":{"offset":12,"row":2,"published":2,"rejected":0,"tail_hash":2,"unterminated":false},"cuts":[]}"#;
        fs::write(dir.join("43.ahead"), format!("{sent}\nleft of a longer one")).unwrap();
        fs::write(dir.join("source_id"), "00000000000000ff\n").unwrap();
        fs::write(dir.join("notes.txt"), "somebody's").unwrap();
        // A command that reads checkpoints before the first start finds them.
        assert_eq!(Reader::open(dir).unwrap().unwrap().rows().all().unwrap().len(), 2);

        for start in ["first", "second"] {
            let store = Store::open(dir).unwrap();
            assert_eq!(store.source_id(), 255, "{start}");
            let of = |id| store.of_file(FileId::from(id)).unwrap().unwrap();
            assert_eq!(of(42).state, State::Archived { target: "a.42.csv".into() });
            assert!(of(42).mapping.is_none() && of(42).absolute.is_none() && of(42).forced_ends.is_empty());
            assert_eq!((of(43).reached.offset, store.in_memory_files()), (9, vec![FileId::from(43)]));
            assert_eq!(store.sent(FileId::from(43)).unwrap().unwrap().reached.offset, 12);
        }
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["checkpoints.db", "checkpoints.db-shm", "checkpoints.db-wal", "notes.txt", "source_id"]
        );
    }

    #[test]
    fn a_takeover_that_was_killed_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        of_before(dir, 42, r#""reading""#);
        // Before the store had its name, and before the files were deleted.
        fs::write(dir.join("checkpoints.db.tmp"), "half").unwrap();
        drop(Store::open(dir).unwrap());
        of_before(dir, 42, r#""kept""#);
        let store = Store::open(dir).unwrap();
        assert_eq!(store.of_file(FileId::from(42)).unwrap().unwrap().state, State::Reading);
        assert!(!dir.join("42.json").exists());
        // One that is not in the store is not deleted.
        of_before(dir, 43, r#""reading""#);
        drop(Store::open(dir).unwrap());
        assert!(dir.join("43.json").exists());
    }

    #[test]
    fn a_checkpoint_of_another_version_is_refused_by_name_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("42.json"),
            OLD.replace("STATE", r#""reading""#).replace(r#""version":1"#, r#""version":9"#),
        )
        .unwrap();
        let error = Store::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("42.json") && error.contains("version 9"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
