use super::*;
use crate::file::identity::Identity;

fn checkpoint(offset: u64) -> Checkpoint {
    let identity = Identity { inode: 7, head_length: 3, head_hash: 9, incarnation: 0 };
    let mut checkpoint = Checkpoint::new(FileId::from(42), identity, Path::new("a.csv"));
    checkpoint.reached.offset = offset;
    checkpoint
}

fn sent(offset: u64) -> SentPosition {
    SentPosition { forced_ends: vec![offset], ..SentPosition::of(&checkpoint(offset)) }
}

#[test]
fn positions_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.advance(checkpoint(10)).unwrap();
    store.flush().unwrap();
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(again.of_inode(7).unwrap()[0].reached.offset, 10);
    assert_eq!(again.source_id(), store.source_id());
}

#[test]
fn a_late_position_does_not_reopen_a_closed_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.advance(checkpoint(10)).unwrap();
    store.put(Checkpoint { state: State::Kept, ..checkpoint(20) });
    store.advance(checkpoint(15)).unwrap();
    store.flush().unwrap();
    // Also when it is no longer in memory.
    store.advance(checkpoint(16)).unwrap();
    store.flush().unwrap();
    let again = Store::open(dir.path()).unwrap();
    let found = again.of_inode(7).unwrap();
    assert_eq!((found[0].reached.offset, &found[0].state), (20, &State::Kept));
}

#[test]
fn rows_in_flight_count_for_a_truncated_file_until_its_totals_are_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put(checkpoint(10));
    store.truncate(FileId::from(42)).unwrap();
    store.advance(checkpoint(20)).unwrap();
    store.flush().unwrap();
    let kept = || Store::open(dir.path()).unwrap().of_file(FileId::from(42)).unwrap().unwrap();
    assert_eq!((kept().state, kept().totals_pending, kept().reached.offset), (State::Truncated, true, 20));
    store.advance(Checkpoint { state: State::Truncated, ..checkpoint(30) }).unwrap();
    store.flush().unwrap();
    assert_eq!((kept().state, kept().totals_pending, kept().reached.offset), (State::Truncated, false, 30));
    // Whatever comes later is of no file any more.
    store.advance(checkpoint(40)).unwrap();
    assert_eq!(store.of_file(FileId::from(42)).unwrap().unwrap().reached.offset, 30);
}

#[test]
fn a_loss_rewinds_what_can_be_read_and_makes_the_totals_of_the_rest_pending() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let numbered = |id| Checkpoint { file_id: FileId::from(id), ..checkpoint(10) };
    store.put(numbered(1));
    store.put(Checkpoint { state: State::Truncated, ..numbered(2) });
    store.put(Checkpoint { state: State::Kept, ..numbered(3) });
    // What is settled is no longer in memory.
    store.flush().unwrap();
    assert_eq!(store.rewind().unwrap(), Rewound { files: 1, truncated: 1 });
    let of = |id| Store::open(dir.path()).unwrap().of_file(FileId::from(id)).unwrap().unwrap();
    assert_eq!((of(1).reached.offset, of(2).reached.offset, of(3).reached.offset), (0, 10, 10));
    assert_eq!(
        of(1).farthest().offset,
        10,
        "its totals would have the rows of before if it were removed now"
    );
    assert_eq!((of(2).totals_pending, of(3).totals_pending), (true, false));
}

#[test]
fn only_files_that_may_change_are_in_memory_and_all_are_found_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let of = |number: i64, state| {
        let identity = Identity { inode: number.unsigned_abs(), ..checkpoint(1).identity };
        Checkpoint { file_id: FileId::from(number), identity, state, ..checkpoint(10) }
    };
    for number in 1..=200 {
        store.put(of(number, State::Reading));
    }
    store.flush().unwrap();
    for number in 1..=199 {
        store.put(of(number, State::Archived { target: "a".into() }));
    }
    store.flush().unwrap();
    for store in [&store, &Store::open(dir.path()).unwrap()] {
        assert_eq!(store.in_memory_files(), [FileId::from(200)]);
        assert_eq!(store.of_inode(5).unwrap()[0].file_id, FileId::from(5));
        assert_eq!(store.of_file(FileId::from(6)).unwrap().unwrap().state.as_str(), "archived");
        assert_eq!(store.select(|_| true).len(), 200);
    }
}

#[test]
fn how_far_rows_are_sent_is_written_before_they_are_and_goes_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = FileId::from(42);
    let store = Store::open(dir.path()).unwrap();
    store.put(checkpoint(1));
    for offset in [1_000, 20, 3_000] {
        store.note_sent(file, &sent(offset));
        store.before_sending().unwrap();
        // As a process that begins after a kill finds it.
        assert_eq!(Store::open(dir.path()).unwrap().sent(file).unwrap(), Some(sent(offset)));
        assert_eq!(store.sent(file).unwrap(), Some(sent(offset)));
        assert_eq!(store.of_file(file).unwrap().unwrap().reached.offset, 1);
    }
    // A later position leaves it, and the end of reading does not.
    store.advance(checkpoint(20)).unwrap();
    store.flush().unwrap();
    assert_eq!(store.sent(file).unwrap(), Some(sent(3_000)));
    store.put(Checkpoint { state: State::Deleted, ..checkpoint(3_000) });
    store.flush().unwrap();
    assert_eq!(store.sent(file).unwrap(), None);
}

#[test]
fn a_new_file_is_on_disk_before_its_rows_are_sent_and_its_positions_later() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let on_disk = || Store::open(dir.path()).unwrap().of_file(FileId::from(42)).unwrap();
    store.put(checkpoint(1));
    assert!(on_disk().is_none());
    store.before_sending().unwrap();
    assert_eq!(on_disk().map(|one| one.reached.offset), Some(1));
    store.advance(checkpoint(2)).unwrap();
    store.before_sending().unwrap();
    assert_eq!(on_disk().map(|one| one.reached.offset), Some(1));
    store.flush().unwrap();
    assert_eq!(on_disk().map(|one| one.reached.offset), Some(2));
}

#[test]
fn what_could_not_be_written_is_written_with_the_next_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let refuse = rusqlite::Connection::open(dir.path().join(STORE)).unwrap();
    refuse
        .execute_batch("create trigger full before insert on checkpoint begin select raise(abort, 'no'); end")
        .unwrap();
    store.put(checkpoint(1));
    store.note_sent(FileId::from(42), &sent(5));
    assert!(store.flush().unwrap_err().to_string().contains("failed to write"));
    refuse.execute_batch("drop trigger full").unwrap();
    store.flush().unwrap();
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(again.of_inode(7).unwrap().len(), 1);
    assert_eq!(again.sent(FileId::from(42)).unwrap(), Some(sent(5)));
}

#[test]
fn the_last_position_in_the_stream_is_that_of_files_that_are_not_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let at = |number: i64, state, last_sequence| {
        let created = chrono::DateTime::from_timestamp(1_700_000_000, 5_000).unwrap();
        let stream = Some(StreamPosition { created, last_sequence, last_hash: None });
        store.put(Checkpoint { file_id: FileId::from(number), state, stream, ..checkpoint(1) });
        store.flush().unwrap();
        Store::open(dir.path()).unwrap().latest_in_stream().unwrap().map(|then| then.last_sequence)
    };
    assert_eq!(at(1, State::Kept, 90), None);
    assert_eq!(at(2, State::Truncated, 10), Some(10));
    assert_eq!(at(3, State::Reading, 20), Some(20));
    assert_eq!(at(4, State::Truncated, 30), Some(30));
    assert_eq!(at(5, State::Truncated, 25), Some(30));
}

#[test]
fn how_far_rows_were_sent_is_known_as_long_as_the_file_may_be_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let file = FileId::from(42);
    let archived = || State::Archived { target: "a.42.csv".into() };
    for (state, is_known) in [(State::Reading, true), (State::Kept, true), (archived(), false)] {
        store.put(checkpoint(20));
        store.note_sent(file, &sent(30));
        store.before_sending().unwrap();
        store.put(Checkpoint { state: state.clone(), ..checkpoint(20) });
        assert_eq!(store.sent(file).unwrap().is_some(), is_known, "{state:?}");
        store.flush().unwrap();
        assert_eq!(store.sent(file).unwrap().is_some(), is_known, "{state:?}, on disk");
    }
    store.put(checkpoint(20));
    store.note_sent(file, &sent(30));
    store.truncate(file).unwrap();
    assert_eq!(store.sent(file).unwrap(), None);
}

#[test]
fn keys_of_checkpoints_stay_as_older_versions_wrote_them() {
    let json = serde_json::to_value(Checkpoint { forced_ends: vec![3], ..checkpoint(5) }).unwrap();
    assert_eq!((&json["cuts"][0], &json["owes_account"]), (&3.into(), &false.into()));
    let sent = serde_json::to_value(sent(5)).unwrap();
    assert_eq!((&sent["cuts"][0], &sent["reached"]["offset"]), (&5.into(), &5.into()));
}
