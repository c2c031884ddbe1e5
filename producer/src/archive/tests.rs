use common::FileId;

use super::*;
use crate::tail::identity::Identity;

fn landed(dir: &Path) -> (Store, Checkpoint, Seen) {
    let path = dir.join("a.csv.gz");
    fs::write(&path, "rows").unwrap();
    let seen = Seen::from(&fs::metadata(&path).unwrap());
    let identity = Identity { inode: seen.inode, head_length: 1, head_hash: 2, incarnation: 0 };
    let store = Store::open(&dir.join("checkpoints")).unwrap();
    (store, Checkpoint::new(FileId::from(42), identity, &path), seen)
}

#[test]
fn rule_archive_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let (store, checkpoint, seen) = landed(dir.path());
    let archive = dir.path().join("archive");
    fs::create_dir(&archive).unwrap();
    fs::write(archive.join("a.42.csv.gz"), "older").unwrap();
    let error = put_away(&store, checkpoint.clone(), seen, OnClose::Archive, &archive).unwrap_err();
    assert!(error.to_string().contains("a.42.csv.gz"), "{error}");
    assert_eq!(fs::read_to_string(archive.join("a.42.csv.gz")).unwrap(), "older");
    fs::remove_file(archive.join("a.42.csv.gz")).unwrap();
    assert_eq!(store.select(|_| true)[0].state, State::Reading);
    assert_eq!(put_away(&store, checkpoint, seen, OnClose::Archive, &archive).unwrap(), Put::Away);
    assert_eq!(fs::read_to_string(archive.join("a.42.csv.gz")).unwrap(), "rows");
}

#[test]
fn a_file_that_grew_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (store, checkpoint, seen) = landed(dir.path());
    fs::write(&checkpoint.path, "rows and more").unwrap();
    let put = put_away(&store, checkpoint.clone(), seen, OnClose::Delete, dir.path()).unwrap();
    assert_eq!(put, Put::Grew);
    assert!(checkpoint.path.exists());
}

#[test]
fn a_move_that_a_crash_has_cut_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut checkpoint, _) = landed(dir.path());
    let target = dir.path().join("a.42.csv.gz");
    checkpoint.state = State::Archiving { target: target.clone() };
    store.put(checkpoint.clone()).unwrap();
    end_moves(&store).unwrap();
    assert_eq!(store.select(|_| true)[0].state, State::Reading);
    store.put(checkpoint.clone()).unwrap();
    // As where a link stands for a rename.
    fs::hard_link(&checkpoint.path, &target).unwrap();
    end_moves(&store).unwrap();
    assert!(!checkpoint.path.exists() && target.exists());
    store.put(checkpoint.clone()).unwrap();
    end_moves(&store).unwrap();
    assert_eq!(store.select(|_| true)[0].state, State::Archived { target: target.clone() });
    // In neither place: nothing is known, and nothing is said.
    store.put(checkpoint.clone()).unwrap();
    fs::remove_file(&target).unwrap();
    end_moves(&store).unwrap();
    assert_eq!(store.select(|_| true)[0].state, checkpoint.state);
}
