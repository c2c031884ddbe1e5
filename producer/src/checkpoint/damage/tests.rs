use std::io::{Seek as _, SeekFrom, Write as _};

use common::FileId;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::checkpoint::database::{Change, Database, KNOWN_INCARNATIONS, Settings, create};
use crate::file::identity::Identity;

/// A store of some hundred checkpoints.
fn store_in(dir: &Path) -> PathBuf {
    let checkpoint = |inode: u32| {
        let identity = Identity { inode: inode.into(), head_length: 3, head_hash: 9, incarnation: 0 };
        Checkpoint::new(FileId::from(i64::from(inode)), identity, Path::new("a.csv"))
    };
    let change = |inode| Change {
        file: FileId::from(i64::from(inode)),
        checkpoint: Some(checkpoint(inode)),
        sent: None,
    };
    create(dir, Settings::default(), &(1..=300_u32).map(change).collect::<Vec<_>>()).unwrap();
    dir.join(STORE)
}

/// Changes the store behind its back, as another boot of the machine or a failing disk does.
fn change(path: &Path, statement: &str) {
    Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

fn damage_of(dir: &Path) -> Option<String> {
    match Database::open(dir) {
        Ok(_) => None,
        Err(Error::Damaged { what, .. }) => Some(what),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn after_another_boot_every_checkpoint_is_read_and_after_a_kill_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = store_in(dir.path());
    // It is not ended, as where the process is killed.
    drop(Database::open(dir.path()).unwrap());
    assert_eq!(damage_of(dir.path()), None);
    change(&path, "update checkpoint set body = '{' where file_id in (7, 8)");
    assert_eq!(damage_of(dir.path()), None, "a process that is killed leaves no damage");
    change(&path, "update setting set value = value + 1 where name = 'used_in'");
    assert_eq!(damage_of(dir.path()).as_deref(), Some("2 checkpoints cannot be read"));
}

#[test]
fn after_another_boot_every_page_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = store_in(dir.path());
    drop(Database::open(dir.path()).unwrap());
    change(
        &path,
        "update setting set value = value + 1 where name = 'used_in'; pragma wal_checkpoint(truncate)",
    );
    assert_eq!(damage_of(dir.path()), None, "what is whole is no damage");
    change(
        &path,
        "update setting set value = value + 1 where name = 'used_in'; pragma wal_checkpoint(truncate)",
    );
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let last = file.metadata().unwrap().len() - 4_096;
    file.seek(SeekFrom::Start(last)).unwrap();
    file.write_all(&[0; 4_096]).unwrap();
    assert!(damage_of(dir.path()).is_some());
}

#[test]
fn after_a_clean_end_the_length_has_to_be_that_of_its_pages() {
    let dir = tempfile::tempdir().unwrap();
    let path = store_in(dir.path());
    let (database, _) = Database::open(dir.path()).unwrap();
    database.end().unwrap();
    drop(database);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    // A shorter one is noticed by SQLite itself.
    file.set_len(length + 4_096).unwrap();
    let what = format!("it has {} bytes instead of {length}", length + 4_096);
    assert_eq!(damage_of(dir.path()), Some(what));
    file.set_len(length).unwrap();
    assert_eq!(damage_of(dir.path()), None, "its length is right");
}

#[test]
fn a_store_that_was_recovered_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let lost = Settings::of_rebuilt();
    assert!(!lost.is_recovered && lost.first_incarnation >= KNOWN_INCARNATIONS);
    assert_ne!(lost.first_incarnation, Settings::of_rebuilt().first_incarnation);
    create(dir.path(), lost, &[]).unwrap();
    let (mut database, settings) = Database::open(dir.path()).unwrap();
    assert_eq!(settings, lost);
    database.recovered(&[]).unwrap();
    drop(database);
    let (_, settings) = Database::open(dir.path()).unwrap();
    assert_eq!(settings, Settings { is_recovered: true, ..lost });
}

#[test]
fn what_is_moved_aside_takes_the_first_free_name_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let moved = |endings: &[&str]| move_aside(dir.path(), endings).unwrap();
    assert_eq!(moved(&ALL), None);
    for (content, name) in [("first", "damaged-1"), ("second", "damaged-2")] {
        fs::write(dir.path().join(STORE), content).unwrap();
        fs::write(dir.path().join(format!("{STORE}-wal")), content).unwrap();
        let path = dir.path().join(format!("{STORE}.{name}"));
        assert_eq!(moved(&ALL), Some(path.clone()));
        assert_eq!(fs::read_to_string(with_ending(&path, "-wal")).unwrap(), content);
    }
    // A log alone keeps its name's number from being taken.
    fs::write(dir.path().join(format!("{STORE}-wal")), "third").unwrap();
    let log = moved(&ALL).unwrap();
    assert!(log.ends_with(format!("{STORE}.damaged-3-wal")), "{}", log.display());
    assert_eq!(fs::read_to_string(dir.path().join(format!("{STORE}.damaged-1"))).unwrap(), "first");
}
