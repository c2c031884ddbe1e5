//! What becomes of files when the consumer says that every row of them is in a table.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use async_nats::jetstream::consumer::pull;
use common::config::OnClose;
use common::stream;
use common::wire::{ClosedFile, FileMessage, FileState};
use futures::StreamExt as _;
use producer::checkpoint::Reader;
use producer::file::read_span;

use crate::endings::gzip;
use crate::test_env::{TestEnv, other_file_system, row, rows, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_archived_when_it_is_closed_and_not_before() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    assert!(env.path("a.csv").exists());
    env.close(&totals).await;
    until("it is archived", async || !env.path("a.csv").exists()).await;
    tailer.drain().await;
    let target = env.config.archive_dir().join(format!("a.{}.csv", totals.file_id));
    assert_eq!(env.archived(), std::slice::from_ref(&target));
    assert_eq!(fs::read_to_string(target).unwrap(), rows(1..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_closed_also_where_the_database_has_lost_the_totals() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    // The consumer has read everything, and the database has lost it.
    let events = env.jetstream.get_stream(stream::STREAM).await.unwrap();
    let config = pull::Config { durable_name: Some(stream::DURABLE.to_owned()), ..pull::Config::default() };
    let consumer = events.create_consumer(config).await.unwrap();
    let read = async |messages: usize| {
        let mut read = consumer.stream().messages().await.unwrap().take(messages);
        while let Some(message) = read.next().await {
            message.unwrap().double_ack().await.unwrap();
        }
    };
    let sent = env.messages().await;
    read(usize::try_from(sent).unwrap()).await;
    until("the totals are sent again", async || env.messages().await == sent + 1).await;
    let last = env.contents().await.0.pop().unwrap().totals().unwrap();
    assert_eq!(last, totals);
    // And once more: what was sent again can be lost as well.
    read(1).await;
    until("the totals are sent again", async || env.messages().await == sent + 2).await;
    env.close(&totals).await;
    env.until_archived(totals.file_id).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_mapping_is_pinned_also_when_the_file_is_closed() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    env.close(&totals).await;
    env.until_archived(totals.file_id).await;
    tailer.drain().await;
    let (_, mapping) = env.checkpoint(totals.file_id);
    assert_eq!(mapping["columns"]["price"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_archive_never_overwrites() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    let target = env.config.archive_dir().join(format!("a.{}.csv", totals.file_id));
    fs::create_dir_all(env.config.archive_dir()).unwrap();
    fs::write(&target, "somebody else's").unwrap();
    env.close(&totals).await;
    // Another file of the same name, which can only come when the first has gone, shows that the word was heard.
    env.land("b.csv", rows(4..=4));
    let other = env.until_finished("b.csv", 1).await;
    env.close(&other).await;
    until("the other file is archived", async || env.archived().len() == 2).await;
    let outcome = tailer.drain().await;
    let [(path, why)] = &outcome.parked[..] else { panic!("one file is parked: {outcome:?}") };
    assert_eq!(*path, env.path("a.csv"));
    assert!(why.contains("could not be put away") && why.contains(&target.display().to_string()), "{why}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "somebody else's");
    assert_eq!(fs::read_to_string(env.path("a.csv")).unwrap(), rows(1..=3));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_archive_never_overwrites_a_file_of_the_same_name() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    for numbers in [1..=2, 3..=5, 1..=2] {
        env.land("a.csv", rows(numbers.clone()));
        let count = i64::try_from(numbers.count()).unwrap();
        let archived = env.archived().len();
        let totals = env.until_finished("a.csv", count).await;
        env.close(&totals).await;
        until("it is archived", async || env.archived().len() == archived + 1).await;
    }
    tailer.drain().await;
    let mut kept: Vec<_> = env.archived().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    kept.sort_unstable();
    assert_eq!(kept, [rows(1..=2), rows(1..=2), rows(3..=5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_file_can_be_kept_in_its_place() {
    let env = TestEnv::start_with(|config| config.tail.on_close = OnClose::Keep).await;
    env.land("a.csv", rows(1..=3));
    let closing = env.close_all();
    env.tail_once().end().await.unwrap();
    let sent = env.messages().await;
    // A second run has nothing to do.
    let outcome = env.tail_once().end().await.unwrap();
    assert_eq!((outcome.files.len(), outcome.open), (1, 0));
    assert_eq!(env.messages().await, sent);
    assert_eq!(fs::read_to_string(env.path("a.csv")).unwrap(), rows(1..=3));
    // What is appended later is read, under the next row numbers.
    env.append("a.csv", row(4));
    env.tail_once().end().await.unwrap();
    drop(closing);
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(outcome.files[0]), [1, 2, 3, 4]);
    assert!(env.archived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_file_can_be_deleted() {
    let env = TestEnv::start_with(|config| config.tail.on_close = OnClose::Delete).await;
    env.land("a.csv", rows(1..=3));
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.open, outcome.parked.len()), (0, 0));
    assert!(!env.path("a.csv").exists() && env.archived().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn older_totals_close_nothing() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    env.append("a.csv", row(4));
    let second = env.until_finished("a.csv", 4).await;
    env.close(&first).await;
    // Nor does one of the right revision with another count.
    env.announce_closed(second.file_id, ClosedFile { revision: second.revision, rows_read: 3 }).await;
    // Words are heard in their order, so that another file's shows that these were heard.
    env.land("b.csv", rows(5..=5));
    let other = env.until_finished("b.csv", 1).await;
    env.close(&other).await;
    until("the other file is archived", async || env.archived().len() == 1).await;
    assert!(env.path("a.csv").exists());
    env.close(&second).await;
    until("it is archived", async || env.archived().len() == 2).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_closed_without_a_tailer_is_put_away_at_the_next_start() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    env.close(&totals).await;
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.open, env.archived().len()), (0, 1));
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_when_what_was_there_is_closed() {
    let env = TestEnv::start().await;
    env.land("a.csv", rows(1..=3).trim_end());
    let tailer = env.tail_once();
    // Without waiting for the file to be quiet: nothing more is expected of it.
    let totals = env.until_totals("a.csv", |totals| totals.state == FileState::Finished).await;
    assert_eq!(totals.rows_read, 3);
    assert!(tailer.is_running());
    // What comes later is for the next run.
    env.land("late.csv", rows(4..=4));
    env.close(&totals).await;
    let outcome = tailer.end().await.unwrap();
    assert_eq!((outcome.files, outcome.open), (vec![totals.file_id], 0));
    assert!(env.path("late.csv").exists());
    assert_eq!(env.contents().await.rows().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_tailer_can_be_asked_to_finish_what_is_there() {
    let env =
        TestEnv::start_with(|config| config.tail.finish_after = std::time::Duration::from_mins(1)).await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3).trim_end());
    env.until_rows(2).await;
    let closing = env.close_all();
    tailer.ending.cancel();
    let outcome = tailer.end().await.unwrap();
    drop(closing);
    assert_eq!((outcome.files.len(), outcome.open, env.archived().len()), (1, 0, 1));
    assert_eq!(env.contents().await.rows().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_rewritten_before_it_was_closed_does_not_hold_up_the_end() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    fs::write(env.path("a.csv"), rows(11..=15)).unwrap();
    let second = env.until_finished("a.csv", 5).await;
    tailer.ending.cancel();
    let closing = env.close_all();
    let outcome = tailer.end().await.unwrap();
    drop(closing);
    assert_eq!(outcome.open, 0);
    assert!([first, second].iter().all(|totals| outcome.files.contains(&totals.file_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_tailer_reports_what_is_still_open() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    let outcome = tailer.drain().await;
    assert_eq!((outcome.files.len(), outcome.open), (1, 1));
}

/// Rows that are appended at the worst moments: after the file was looked at, and before it leaves.
async fn grows_at(point: &str, on_close: OnClose, archive_dir: Option<&Path>) {
    let env = TestEnv::start_with(|config| {
        config.tail.on_close = on_close;
        config.tail.archive_dir = archive_dir.map(Path::to_owned);
    })
    .await;
    let (producer, hold) = env.producer_held_at(point);
    env.append("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    env.close(&totals).await;
    hold.reached().await;
    // By a writer that has the file open, under whatever name it is by now.
    let dirs = [env.config.landing_dir(), env.config.archive_dir()];
    let files = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let is_it = |path: &Path| inode_read(&env, &totals) == inode(path);
    let path = files.map(|entry| entry.unwrap().path()).find(|path| is_it(path)).unwrap();
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(row(4).as_bytes()).unwrap();
    drop(hold);
    let totals = env.until_finished("a.csv", 4).await;
    assert_eq!(fs::read_to_string(env.path("a.csv")).unwrap(), rows(1..=4), "{point}");
    assert!(env.archived().is_empty(), "{point}: {:?}", env.archived());
    env.close(&totals).await;
    until("it is put away", async || !env.path("a.csv").exists()).await;
    producer.drain().await;
    for archived in env.archived() {
        assert_eq!(fs::read_to_string(archived).unwrap(), rows(1..=4), "{point}");
    }
    assert_eq!(env.archived().len(), usize::from(on_close == OnClose::Archive), "{point}");
    assert_eq!(fs::read_dir(env.config.landing_dir()).unwrap().count(), 0, "{point}");
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3, 4], "{point}");
}

fn inode_read(env: &TestEnv, totals: &FileMessage) -> u64 {
    let (checkpoint, _) = env.checkpoint(totals.file_id);
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
    let env = TestEnv::start().await;
    env.land("X.CSV.GZ", gzip(&rows(1..=3)));
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    drop(closing);
    let file = outcome.files[0];
    assert_eq!(env.archived(), [env.config.archive_dir().join(format!("X.{file}.CSV.GZ"))]);
    let checkpoints = Reader::open(&env.config.checkpoint_dir()).unwrap().unwrap();
    let checkpoint = checkpoints.rows().of_file(file).unwrap().unwrap();
    let text = read_span(checkpoint.place().unwrap(), 0, 1 << 10).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), rows(1..=3));
}
