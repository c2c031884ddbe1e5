//! A producer that is killed between two steps, where a crash hurts most, and started again.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use common::FileId;
use common::config::OnClose;
use common::wire::{FileMessage, FileState};

use crate::test_env::{TestEnv, other_file_system, row, rows, until};

const ROWS: u128 = 2_000;

/// A file that a producer reads until it is killed at `point`, and that another one then brings to its end.
async fn killed_at(point: &str) {
    let env = TestEnv::start().await;
    killed_on(&env, point).await;
    is_whole_and_archived_once(&env, point).await;
}

async fn killed_on(env: &TestEnv, point: &str) {
    env.land("a.csv", rows(1..=ROWS));
    let closing = env.close_all();
    env.producer_that_dies_at(point, &["tail"]).dies().await;
    let ended = env.producer(&["tail", "--once"]).end().await;
    drop(closing);
    assert_eq!(ended.code, Some(0), "{point}: {ended:?}");
}

/// Each row is in the stream, as one event however often it was sent; the totals are right; the file is in the archive.
async fn is_whole_and_archived_once(env: &TestEnv, point: &str) {
    let contents = env.contents().await;
    let files: Vec<FileId> = contents.files().into_iter().collect();
    let [file] = files[..] else { panic!("{point}: one file: {files:?}") };
    let customers: BTreeMap<i64, String> = contents
        .events()
        .iter()
        .map(|event| (event.row, event.customer_id.as_ref().unwrap().to_string()))
        .collect();
    assert!(
        customers
            .iter()
            .map(|(row, name)| (*row, name.clone()))
            .eq((1..=2_000).map(|row| (row, format!("customer {row}"))))
    );
    assert_eq!(contents.event_ids().len(), 2_000, "{point}: and no row became another event");
    let last = last_totals(env, file).await;
    assert_eq!((last.state, last.rows_read, last.rejected), (FileState::Finished, 2_000, 0), "{point}");
    let archived = env.archived();
    assert_eq!(archived, [env.config.archive_dir().join(format!("a.{file}.csv"))], "{point}");
    assert_eq!(fs::read_to_string(&archived[0]).unwrap(), rows(1..=ROWS), "{point}");
    assert_eq!(fs::read_dir(env.config.landing_dir()).unwrap().count(), 0, "{point}");
}

async fn last_totals(env: &TestEnv, file: FileId) -> FileMessage {
    let all_totals = env.totals().await.into_iter().filter(|totals| totals.file_id == file);
    all_totals.max_by_key(|totals| totals.revision).unwrap()
}

#[tokio::test]
async fn killed_before_a_row_that_was_sent_is_acknowledged() {
    for point in ["after_publish:2", "after_publish:700"] {
        killed_at(point).await;
    }
}

#[tokio::test]
async fn killed_before_a_row_that_was_acknowledged_is_in_a_checkpoint() {
    for point in ["after_puback:1", "after_puback:700"] {
        killed_at(point).await;
    }
}

#[tokio::test]
async fn killed_while_a_checkpoint_is_written() {
    // The store, the id of the directory, and the limit of revisions.
    for file in 1..=3 {
        killed_at(&format!("before_checkpoint_rename:{file}")).await;
        killed_at(&format!("after_checkpoint_rename:{file}")).await;
    }
    // The file when it is met, on its way to the archive, and there; its positions come with one of them or between.
    for commit in 1..=3 {
        killed_at(&format!("before_checkpoint_commit:{commit}")).await;
        killed_at(&format!("after_checkpoint_commit:{commit}")).await;
    }
}

#[tokio::test]
async fn killed_when_the_totals_are_sent() {
    // The one that says that the file is being read, and the one that says that it is finished.
    for point in ["after_account:1", "after_account:2"] {
        killed_at(point).await;
    }
}

#[tokio::test]
async fn rule_archive_never_overwrites_when_the_producer_is_killed_around_the_move() {
    for point in ["after_archiving_mark", "after_archive_rename"] {
        killed_at(point).await;
    }
}

#[tokio::test]
async fn an_archive_on_another_file_system_is_as_safe_wherever_the_producer_is_killed() {
    let points = [
        "after_archiving_mark",
        "after_partial_copy",
        "after_archive_copy",
        "after_copied_mark",
        "after_moved_aside",
        "after_removed",
    ];
    for point in points {
        let elsewhere = other_file_system();
        let archive = elsewhere.path().join("archive");
        let env = TestEnv::start_with(|config| config.tail.archive_dir = Some(archive)).await;
        killed_on(&env, point).await;
        is_whole_and_archived_once(&env, point).await;
    }
}

#[tokio::test]
async fn a_closed_file_is_deleted_once_wherever_the_producer_is_killed() {
    for point in ["after_deleting_mark", "after_moved_aside", "after_removed"] {
        let env = TestEnv::start_with(|config| config.tail.on_close = OnClose::Delete).await;
        killed_on(&env, point).await;
        assert_eq!(fs::read_dir(env.config.landing_dir()).unwrap().count(), 0, "{point}");
        let contents = env.contents().await;
        assert_eq!((contents.files().len(), contents.event_ids().len()), (1, 2_000), "{point}");
    }
}

#[tokio::test]
async fn a_truncated_file_has_its_totals_wherever_the_producer_is_killed() {
    // Noted and not sent; sent and not acknowledged; acknowledged and not noted. Two totals are of open files.
    for point in ["after_truncated", "after_account:2", "before_truncated_mark"] {
        let env = TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
        let producer = env.producer_that_dies_at(point, &["tail"]);
        env.append("a.csv", rows(1..=3));
        env.until_rows(3).await;
        fs::write(env.path("a.csv"), rows(11..=12)).unwrap();
        producer.dies().await;
        let closing = env.close_all();
        let ended = env.producer(&["tail", "--once"]).end().await;
        drop(closing);
        assert_eq!(ended.code, Some(0), "{ended:?}");

        let contents = env.contents().await;
        let ends = contents.files().into_iter().map(async |file| {
            let last = last_totals(&env, file).await;
            (contents.rows_of(file).into_iter().max().unwrap(), last.state, last.rows_read)
        });
        let mut ends = futures::future::join_all(ends).await;
        ends.sort_by_key(|(rows, ..)| *rows);
        let [(2, FileState::Finished, 2), (3, FileState::Truncated, told)] = ends[..] else {
            panic!("{point}: {ends:?}")
        };
        // What the last checkpoint knew: more may be in the stream, never less.
        assert!((0..=3).contains(&told), "{point}: {told}");
    }
}

#[tokio::test]
async fn a_file_is_landed_whole_or_not_at_all() {
    let env = TestEnv::start().await;
    let generate = ["generate", "--files", "2", "--batch-size", "100", "--seed", "7"];
    env.producer_that_dies_at("before_landing:2", &generate).dies().await;
    let landed = || {
        let paths = fs::read_dir(env.config.landing_dir()).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "csv")).count()
    };
    assert_eq!(landed(), 1);
    assert_eq!(env.producer(&generate).end().await.code, Some(0));
    assert_eq!(landed(), 3);
    let closing = env.close_all();
    let ended = env.producer(&["tail", "--once"]).end().await;
    drop(closing);
    assert_eq!(ended.code, Some(0), "what is left of the second is no file: {ended:?}");
    assert_eq!(env.contents().await.rows().len(), 300);
}

/// What was sent of a line that counted as finished stays sent, also when the line has grown while nobody looked.
#[tokio::test]
async fn rule_half_a_line_waits_and_is_not_another_row_after_a_crash() {
    let env = TestEnv::start_with(|config| config.tail.checkpoint_every = Duration::from_mins(1)).await;
    let text = rows(1..=3);
    let (half, rest) = text.split_at(text.len() - 4);
    env.append("a.csv", half);
    let producer = env.producer(&["tail"]);
    env.until_finished("a.csv", 3).await;
    // Row 3 is in the stream and in no checkpoint.
    producer.kill().await;
    env.append("a.csv", rest.to_owned() + &row(4));
    let producer = env.producer(&["tail"]);
    let totals = env.until_finished("a.csv", 5).await;
    producer.drain().await;
    let contents = env.contents().await;
    contents.each_origin_has_one_content();
    assert_eq!((totals.published, totals.rejected), (4, 1));
    assert_eq!(contents.rejects()[0].raw.0, b".50");
}

#[tokio::test]
async fn rule_rewrite_is_a_new_file_when_only_rows_behind_the_checkpoint_were_rewritten() {
    let env = TestEnv::start_with(|config| config.tail.checkpoint_every = Duration::from_mins(1)).await;
    env.append("a.csv", rows(1..=9));
    let producer = env.producer(&["tail"]);
    env.until_rows(9).await;
    producer.kill().await;
    // The checkpoint stands behind the header, which is as it was.
    fs::write(env.path("a.csv"), rows(1..=5) + &row(21).repeat(9)).unwrap();
    let producer = env.producer(&["tail"]);
    let totals = env.until_finished("a.csv", 14).await;
    producer.drain().await;
    let contents = env.contents().await;
    contents.each_origin_has_one_content();
    assert_eq!(contents.files().len(), 2);
    assert_eq!(contents.rows_of(totals.file_id), (1..=14).collect::<Vec<_>>());
    let states: Vec<_> = env.totals().await.into_iter().map(|totals| totals.state).collect();
    assert!(states.contains(&FileState::Truncated), "{states:?}");
}

#[tokio::test]
async fn killed_again_and_again_a_producer_gets_through() {
    let env = TestEnv::start_with(|config| config.publish.window = 50).await;
    env.land("a.csv", rows(1..=ROWS));
    let closing = env.close_all();
    for _ in 0..5 {
        let before = env.messages().await;
        let producer = env.producer(&["tail"]);
        until("it gets somewhere", async || env.messages().await > before || env.archived().len() == 1).await;
        producer.kill().await;
    }
    let ended = env.producer(&["tail", "--once"]).end().await;
    drop(closing);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    is_whole_and_archived_once(&env, "anywhere").await;
}
