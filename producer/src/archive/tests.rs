use std::fs;

use super::moving::part_of;
use super::*;
use crate::file::identity::Identity;

fn landed_as(dir: &Path, name: &str) -> (Store, Checkpoint, FileStat) {
    let path = dir.join(name);
    fs::write(&path, "rows").unwrap();
    let seen = FileStat::from(&fs::metadata(&path).unwrap());
    let identity = Identity { inode: seen.inode, head_length: 1, head_hash: 2, incarnation: 0 };
    let store = Store::open(&dir.join("checkpoints")).unwrap();
    (store, Checkpoint::new(FileId::from(42), identity, &path), seen)
}

fn landed(dir: &Path) -> (Store, Checkpoint, FileStat) {
    landed_as(dir, "a.csv.gz")
}

/// Puts one file away, which is taken to be as it was `announced`.
fn put_away(
    store: &Store,
    checkpoint: Checkpoint,
    announced: FileStat,
    on_close: OnClose,
    archive_dir: &Path,
) -> Result<Put, Error> {
    super::put_away(store, vec![ClosingFile::new(checkpoint, announced)], on_close, archive_dir)
        .unwrap()
        .remove(0)
}

fn state(store: &Store) -> State {
    store.select(|_| true)[0].state.clone()
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
    assert_eq!(state(&store), State::Reading);
    assert_eq!(put_away(&store, checkpoint, seen, OnClose::Archive, &archive).unwrap(), Put::Away);
    assert_eq!(fs::read_to_string(archive.join("a.42.csv.gz")).unwrap(), "rows");
}

#[test]
fn a_name_keeps_its_ending_in_whatever_case_that_is() {
    for (name, archived) in [
        ("X.CSV.GZ", "X.42.CSV.GZ"),
        ("x.Tsv.Zst", "x.42.Tsv.Zst"),
        ("ÄÖ.İ.CSV", "ÄÖ.İ.42.CSV"),
        ("a.csv.b.csv.gz", "a.csv.b.42.csv.gz"),
        ("a.tsv.csv", "a.tsv.42.csv"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (store, checkpoint, seen) = landed_as(dir.path(), name);
        let archive = dir.path().join("archive");
        put_away(&store, checkpoint, seen, OnClose::Archive, &archive).unwrap();
        assert!(
            archive.join(archived).exists(),
            "{name} became {:?}",
            fs::read_dir(&archive).unwrap().next()
        );
    }
}

#[test]
fn rule_closed_is_what_was_announced_for_each_way_to_put_a_file_away() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("grown", |path| fs::write(path, "rows and more").unwrap()),
        ("written over", |path| fs::write(path, "ROWS").unwrap()),
        ("replaced", |path| {
            fs::write(path.with_extension("new"), "rows").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("written over, with the old time", |path| {
            let before = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(path, "ROWS").unwrap();
            File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }),
    ];
    for on_close in [OnClose::Archive, OnClose::Keep, OnClose::Delete] {
        for (what, change) in changes {
            let dir = tempfile::tempdir().unwrap();
            let (store, checkpoint, mut seen) = landed(dir.path());
            // As if it had been written a while ago: the clock of file systems has ticks.
            seen.changed_us -= 1;
            store.put(checkpoint.clone());
            change(&checkpoint.path);
            let content = fs::read(&checkpoint.path).unwrap();
            let archive = dir.path().join("archive");
            let put = put_away(&store, checkpoint.clone(), seen, on_close, &archive).unwrap();
            assert_eq!((put, state(&store)), (Put::Changed, State::Reading), "{on_close:?}, {what}");
            assert_eq!(fs::read(&checkpoint.path).unwrap(), content, "{on_close:?}, {what}");
            assert!(!archive.exists(), "{on_close:?}, {what}");
        }
    }
}

#[test]
fn a_move_that_a_crash_has_cut_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut checkpoint, seen) = landed(dir.path());
    let target = dir.path().join("a.42.csv.gz");
    checkpoint.state = State::Archiving { target: target.clone(), announced: Some(seen) };
    store.put(checkpoint.clone());
    recover(&store).unwrap();
    assert_eq!(state(&store), State::Reading);
    store.put(checkpoint.clone());
    // As where a link stands for a rename.
    fs::hard_link(&checkpoint.path, &target).unwrap();
    recover(&store).unwrap();
    assert!(!checkpoint.path.exists() && target.exists());
    store.put(checkpoint.clone());
    recover(&store).unwrap();
    assert_eq!(state(&store), State::Archived { target: target.clone() });
    // It had grown before the move, and was not checked since.
    fs::write(&target, "rows and more").unwrap();
    store.put(checkpoint.clone());
    recover(&store).unwrap();
    assert_eq!(state(&store), State::Reading);
    assert!(!target.exists());
    assert_eq!(fs::read_to_string(&checkpoint.path).unwrap(), "rows and more");
    // In neither place: its state stays as it is.
    store.put(checkpoint.clone());
    fs::remove_file(&checkpoint.path).unwrap();
    recover(&store).unwrap();
    assert_eq!(state(&store), checkpoint.state);
}

#[test]
fn what_a_crash_has_left_of_a_copy_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut checkpoint, seen) = landed(dir.path());
    let target = dir.path().join("a.42.csv.gz");
    let is_archiving = State::Archiving { target: target.clone(), announced: Some(seen) };
    let is_copied = State::Copied { target: target.clone(), announced: seen };
    let written = fs::metadata(&checkpoint.path).unwrap().modified().unwrap();
    for (what, is_whole, is_ours) in [("ro", false, true), ("rows", true, true), ("ROWS", true, false)] {
        for cut in [&is_archiving, &is_copied] {
            let copy = if is_whole { target.clone() } else { part_of(&target) };
            fs::write(&copy, what).unwrap();
            File::options().write(true).open(&copy).unwrap().set_modified(written).unwrap();
            checkpoint.state = cut.clone();
            store.put(checkpoint.clone());
            recover(&store).unwrap();
            assert_eq!(state(&store), State::Reading);
            assert!(!is_ours || !copy.exists() || !is_whole && *cut == is_copied, "{what}");
            assert_eq!(fs::read_to_string(&checkpoint.path).unwrap(), "rows");
            let _ = fs::remove_file(&copy);
        }
    }
    // Nothing is left in its place: then the copy is the file.
    fs::rename(&checkpoint.path, &target).unwrap();
    checkpoint.state = is_copied;
    store.put(checkpoint);
    recover(&store).unwrap();
    assert_eq!(state(&store), State::Archived { target });
}
