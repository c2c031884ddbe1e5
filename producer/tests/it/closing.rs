//! What becomes of files when the consumer says that every row of them is in a table.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use common::Origin;
use common::config::OnClose;
use common::wire::{ClosedFile, FileMessage, FileState};

use crate::bed::{Bed, other_file_system, row, rows, until};
use crate::endings::gzip;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_archived_when_it_is_closed_and_not_before() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    assert!(bed.path("a.csv").exists());
    bed.close(&account).await;
    until("it is archived", async || !bed.path("a.csv").exists()).await;
    tailer.drain().await;
    let target = bed.config.archive_dir().join(format!("a.{}.csv", account.file_id));
    assert_eq!(bed.archived(), std::slice::from_ref(&target));
    assert_eq!(fs::read_to_string(target).unwrap(), rows(1..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_mapping_is_pinned_also_when_the_file_is_closed() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    bed.close(&account).await;
    bed.until_archived(account.file_id).await;
    tailer.drain().await;
    let (_, mapping) = bed.checkpoint(account.file_id);
    assert_eq!(mapping["columns"]["price"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_archive_never_overwrites() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    let target = bed.config.archive_dir().join(format!("a.{}.csv", account.file_id));
    fs::create_dir_all(bed.config.archive_dir()).unwrap();
    fs::write(&target, "somebody else's").unwrap();
    bed.close(&account).await;
    // Another file of the same name, which can only come when the first has gone, shows that the word was heard.
    bed.land("b.csv", rows(4..=4));
    let other = bed.until_finished("b.csv", 1).await;
    bed.close(&other).await;
    until("the other file is archived", async || bed.archived().len() == 2).await;
    let outcome = tailer.drain().await;
    let [(path, why)] = &outcome.parked[..] else { panic!("one file is parked: {outcome:?}") };
    assert_eq!(*path, bed.path("a.csv"));
    assert!(why.contains("could not be put away") && why.contains(&target.display().to_string()), "{why}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "somebody else's");
    assert_eq!(fs::read_to_string(bed.path("a.csv")).unwrap(), rows(1..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_archive_never_overwrites_a_file_of_the_same_name() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    for numbers in [1..=2, 3..=5, 1..=2] {
        bed.land("a.csv", rows(numbers.clone()));
        let count = i64::try_from(numbers.count()).unwrap();
        let archived = bed.archived().len();
        let account = bed.until_finished("a.csv", count).await;
        bed.close(&account).await;
        until("it is archived", async || bed.archived().len() == archived + 1).await;
    }
    tailer.drain().await;
    let mut kept: Vec<_> = bed.archived().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    kept.sort_unstable();
    assert_eq!(kept, [rows(1..=2), rows(1..=2), rows(3..=5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_file_can_be_kept_in_its_place() {
    let bed = Bed::start_with(|config| config.tail.on_close = OnClose::Keep).await;
    bed.land("a.csv", rows(1..=3));
    let closing = bed.close_all();
    bed.tail_once().end().await.unwrap();
    let sent = bed.messages().await;
    // A second run has nothing to do.
    let outcome = bed.tail_once().end().await.unwrap();
    assert_eq!((outcome.files.len(), outcome.open), (1, 0));
    assert_eq!(bed.messages().await, sent);
    assert_eq!(fs::read_to_string(bed.path("a.csv")).unwrap(), rows(1..=3));
    // What is appended later is read, under the next row numbers.
    bed.append("a.csv", row(4));
    bed.tail_once().end().await.unwrap();
    drop(closing);
    let contents = bed.contents().await;
    assert_eq!(contents.rows_of(outcome.files[0]), [1, 2, 3, 4]);
    assert!(bed.archived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_file_can_be_deleted() {
    let bed = Bed::start_with(|config| config.tail.on_close = OnClose::Delete).await;
    bed.land("a.csv", rows(1..=3));
    let closing = bed.close_all();
    let outcome = bed.tail_once().end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.open, outcome.parked.len()), (0, 0));
    assert!(!bed.path("a.csv").exists() && bed.archived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn word_of_an_older_account_closes_nothing() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    let first = bed.until_finished("a.csv", 3).await;
    bed.append("a.csv", row(4));
    let second = bed.until_finished("a.csv", 4).await;
    bed.close(&first).await;
    // Nor does one of the right revision with another count.
    bed.announce_closed(second.file_id, ClosedFile { revision: second.revision, rows_read: 3 }).await;
    // Words are heard in their order, so that another file's shows that these were heard.
    bed.land("b.csv", rows(5..=5));
    let other = bed.until_finished("b.csv", 1).await;
    bed.close(&other).await;
    until("the other file is archived", async || bed.archived().len() == 1).await;
    assert!(bed.path("a.csv").exists());
    bed.close(&second).await;
    until("it is archived", async || bed.archived().len() == 2).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_closed_while_nobody_tailed_is_put_away_at_the_next_start() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    tailer.drain().await;
    bed.close(&account).await;
    let closing = bed.close_all();
    let outcome = bed.tail_once().end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.open, bed.archived().len()), (0, 1));
    assert_eq!(bed.contents().await.rows_of(account.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_when_what_was_there_is_closed() {
    let bed = Bed::start().await;
    bed.land("a.csv", rows(1..=3).trim_end());
    let tailer = bed.tail_once();
    // Without waiting for the file to be quiet: nothing more is expected of it.
    let account = bed.until_account("a.csv", |account| account.state == FileState::Finished).await;
    assert_eq!(account.rows_read, 3);
    assert!(tailer.is_running());
    // What comes later is for the next run.
    bed.land("late.csv", rows(4..=4));
    bed.close(&account).await;
    let outcome = tailer.end().await.unwrap();
    assert_eq!((outcome.files, outcome.open), (vec![account.file_id], 0));
    assert!(bed.path("late.csv").exists());
    assert_eq!(bed.contents().await.rows().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_tailer_can_be_asked_to_finish_what_is_there() {
    let bed = Bed::start_with(|config| config.tail.finish_after = std::time::Duration::from_mins(1)).await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3).trim_end());
    bed.until_rows(2).await;
    let closing = bed.close_all();
    tailer.ending.cancel();
    let outcome = tailer.end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.files.len(), outcome.open, bed.archived().len()), (1, 0, 1));
    assert_eq!(bed.contents().await.rows().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_rewritten_before_it_was_closed_does_not_hold_up_the_end() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    let first = bed.until_finished("a.csv", 3).await;
    fs::write(bed.path("a.csv"), rows(11..=15)).unwrap();
    let second = bed.until_finished("a.csv", 5).await;
    tailer.ending.cancel();
    let closing = bed.close_all();
    let outcome = tailer.end().await.unwrap();
    drop(closing);
    assert_eq!(outcome.open, 0);
    assert!([first, second].iter().all(|account| outcome.files.contains(&account.file_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_tailer_says_what_is_still_open() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    bed.until_finished("a.csv", 3).await;
    let outcome = tailer.drain().await;
    assert_eq!((outcome.files.len(), outcome.open), (1, 1));
}

/// Rows that are appended at the worst moments: after the file was looked at, and before it leaves.
async fn grows_at(point: &str, on_close: OnClose, archive_dir: Option<&Path>) {
    let bed = Bed::start_with(|config| {
        config.tail.on_close = on_close;
        config.tail.archive_dir = archive_dir.map(Path::to_owned);
    })
    .await;
    let (producer, hold) = bed.producer_held_at(point);
    bed.append("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    bed.close(&account).await;
    hold.reached().await;
    // By a writer that has the file open, under whatever name it is by now.
    let dirs = [bed.config.landing_dir(), bed.config.archive_dir()];
    let files = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let is_it = |path: &Path| account_inode(&bed, &account) == inode(path);
    let path = files.map(|entry| entry.unwrap().path()).find(|path| is_it(path)).unwrap();
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(row(4).as_bytes()).unwrap();
    drop(hold);
    let account = bed.until_finished("a.csv", 4).await;
    assert_eq!(fs::read_to_string(bed.path("a.csv")).unwrap(), rows(1..=4), "{point}");
    assert!(bed.archived().is_empty(), "{point}: {:?}", bed.archived());
    bed.close(&account).await;
    until("it is put away", async || !bed.path("a.csv").exists()).await;
    producer.drain().await;
    for archived in bed.archived() {
        assert_eq!(fs::read_to_string(archived).unwrap(), rows(1..=4), "{point}");
    }
    assert_eq!(bed.archived().len(), usize::from(on_close == OnClose::Archive), "{point}");
    assert_eq!(fs::read_dir(bed.config.landing_dir()).unwrap().count(), 0, "{point}");
    assert_eq!(bed.contents().await.rows_of(account.file_id), [1, 2, 3, 4], "{point}");
}

fn account_inode(bed: &Bed, account: &FileMessage) -> u64 {
    let (checkpoint, _) = bed.checkpoint(account.file_id);
    checkpoint["identity"]["inode"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_closed_is_what_was_announced_also_while_a_file_is_archived() {
    for point in ["after_archiving_mark", "after_archive_rename"] {
        grows_at(point, OnClose::Archive, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_closed_is_what_was_announced_also_while_a_file_is_deleted() {
    for point in ["after_deleting_mark", "after_moved_aside"] {
        grows_at(point, OnClose::Delete, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_closed_is_what_was_announced_also_while_a_file_is_copied_to_the_archive() {
    let elsewhere = other_file_system();
    let archive = elsewhere.path().join("archive");
    for point in ["after_partial_copy", "after_archive_copy", "after_copied_mark", "after_moved_aside"] {
        grows_at(point, OnClose::Archive, Some(&archive)).await;
        fs::remove_dir_all(&archive).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_whose_name_is_in_capitals_can_be_read_in_the_archive() {
    let bed = Bed::start().await;
    bed.land("X.CSV.GZ", gzip(&rows(1..=3)));
    let closing = bed.close_all();
    let outcome = bed.tail_once().end().await.unwrap();
    drop(closing);
    let file = outcome.files[0];
    assert_eq!(bed.archived(), [bed.config.archive_dir().join(format!("X.{file}.CSV.GZ"))]);
    let located = producer::row_lookup::locate(&bed.config, Origin { file, row: 2 }).unwrap();
    assert_eq!(located.raw, row(2).trim_end().as_bytes());
}
