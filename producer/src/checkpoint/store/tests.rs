use super::*;
use crate::file::identity::Identity;

fn checkpoint(offset: u64) -> Checkpoint {
    let identity = Identity { inode: 7, head_length: 3, head_hash: 9, incarnation: 0 };
    let mut checkpoint = Checkpoint::new(FileId::from(42), identity, Path::new("a.csv"));
    checkpoint.reached.offset = offset;
    checkpoint
}

#[test]
fn positions_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.advance(checkpoint(10));
    store.flush().unwrap();
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(again.of_inode(7)[0].reached.offset, 10);
    assert_eq!(again.source_id(), store.source_id());
}

#[test]
fn a_late_position_does_not_reopen_a_closed_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.advance(checkpoint(10));
    store.put(Checkpoint { state: State::Kept, ..checkpoint(20) }).unwrap();
    store.advance(checkpoint(15));
    store.flush().unwrap();
    let again = Store::open(dir.path()).unwrap();
    assert_eq!((again.of_inode(7)[0].reached.offset, &again.of_inode(7)[0].state), (20, &State::Kept));
}

#[test]
fn rows_on_their_way_count_for_a_truncated_file_until_its_account_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put(checkpoint(10)).unwrap();
    store.truncate(FileId::from(42)).unwrap();
    store.advance(checkpoint(20));
    store.flush().unwrap();
    let kept = || Store::open(dir.path()).unwrap().of_file(FileId::from(42)).unwrap();
    assert_eq!((kept().state, kept().owes_account, kept().reached.offset), (State::Truncated, true, 20));
    store.advance(Checkpoint { state: State::Truncated, ..checkpoint(30) });
    store.flush().unwrap();
    assert_eq!((kept().state, kept().owes_account, kept().reached.offset), (State::Truncated, false, 30));
    // Whatever comes later is of no file any more.
    store.advance(checkpoint(40));
    assert_eq!(store.of_file(FileId::from(42)).unwrap().reached.offset, 30);
}

#[test]
fn a_loss_rewinds_what_can_be_read_and_owes_the_accounts_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let numbered = |id| Checkpoint { file_id: FileId::from(id), ..checkpoint(10) };
    store.put(numbered(1)).unwrap();
    store.put(Checkpoint { state: State::Truncated, ..numbered(2) }).unwrap();
    store.put(Checkpoint { state: State::Kept, ..numbered(3) }).unwrap();
    assert_eq!(store.rewind().unwrap(), Rewound { files: 1, truncated: 1 });
    let of = |id| Store::open(dir.path()).unwrap().of_file(FileId::from(id)).unwrap();
    assert_eq!((of(1).reached.offset, of(2).reached.offset, of(3).reached.offset), (0, 10, 10));
    assert_eq!(of(1).told().offset, 10, "were it gone by now, its account would tell of what it had");
    assert_eq!((of(2).owes_account, of(3).owes_account), (true, false));
}

#[test]
fn checkpoints_of_older_versions_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let json = r#"{"version":1,"file_id":42,"identity":{"inode":7,"head_length":3,"head_hash":9,"incarnation":0},
        "path":"a.csv","state":{"archived":{"target":"a.42.csv"}},
        "start":{"offset":3,"row":0,"published":0,"rejected":0,"tail_hash":1,"unterminated":false},
        "reached":{"offset":9,"row":1,"published":1,"rejected":0,"tail_hash":2,"unterminated":false},
        "mapping":null,"stream":null}"#;
    fs::write(dir.path().join("42.json"), json).unwrap();
    let checkpoint = Store::open(dir.path()).unwrap().of_file(FileId::from(42)).unwrap();
    assert!(checkpoint.mapping.is_none() && checkpoint.absolute.is_none() && checkpoint.cuts.is_empty());
}

#[test]
fn a_checkpoint_of_another_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path()).unwrap().put(Checkpoint { version: 9, ..checkpoint(1) }).unwrap();
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("42.json") && error.contains("version 9"), "{error}");
}

#[test]
fn how_far_rows_were_sent_is_known_as_long_as_the_file_may_be_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let file = FileId::from(42);
    let archived = || State::Archived { target: "a.42.csv".into() };
    for (state, is_known) in [(State::Reading, true), (State::Kept, true), (archived(), false)] {
        store.note_ahead(file, &Ahead::of(&checkpoint(30))).unwrap();
        store.put(Checkpoint { state: state.clone(), ..checkpoint(20) }).unwrap();
        assert_eq!(store.ahead(file).is_some(), is_known, "{state:?}");
    }
    store.put(checkpoint(20)).unwrap();
    store.note_ahead(file, &Ahead::of(&checkpoint(30))).unwrap();
    store.truncate(file).unwrap();
    assert_eq!(store.ahead(file), None);
}
