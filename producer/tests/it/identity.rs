//! Which file is which: what keeps its rows' origins, and what is another file.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use common::wire::FileState;
use producer::Error;

use crate::test_env::{HEADER, TestEnv, row, rows, until};

#[tokio::test(flavor = "multi_thread")]
async fn rule_rewrite_is_a_new_file() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=5));
    let first = env.until_finished("a.csv", 5).await;
    // Truncated and written again, in the same inode.
    fs::write(env.path("a.csv"), rows(11..=13)).unwrap();
    let second = env.until_finished("a.csv", 3).await;
    // Replaced, in another inode, by a longer one.
    env.land("a.csv", rows(21..=29));
    let third = env.until_finished("a.csv", 9).await;
    tailer.drain().await;

    let contents = env.contents().await;
    let ids = [first.file_id, second.file_id, third.file_id];
    assert_eq!(ids.map(|id| contents.rows_of(id).len()), [5, 3, 9]);
    assert_eq!(contents.files().len(), 3);
    // The rows that were read of the first two are in their totals.
    for (file_id, rows_read) in [(first.file_id, 5), (second.file_id, 3)] {
        let last = contents.totals().into_iter().rfind(|totals| totals.file_id == file_id).unwrap();
        assert_eq!((last.state, last.rows_read), (FileState::Truncated, rows_read));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_rewrite_is_a_new_file_also_when_it_was_refilled_beyond_the_position_without_a_tailer() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=5));
    let first = env.until_finished("a.csv", 5).await;
    tailer.drain().await;
    // The same inode, header and first record, and more bytes than before.
    fs::write(env.path("a.csv"), rows(1..=1) + &row(7).repeat(20)).unwrap();
    let tailer = env.tail();
    let second = env.until_finished("a.csv", 21).await;
    tailer.drain().await;
    assert_ne!(first.file_id, second.file_id);
    let contents = env.contents().await;
    assert_eq!((contents.rows_of(first.file_id).len(), contents.rows_of(second.file_id).len()), (5, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_removed_before_its_end_was_read_has_the_totals_of_what_was_read() {
    let env = TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3) + "4,view,");
    env.until_rows(3).await;
    fs::remove_file(env.path("a.csv")).unwrap();
    let totals = env.until_totals("a.csv", |totals| totals.state == FileState::Truncated).await;
    assert_eq!((totals.rows_read, totals.published), (3, 3));
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_origin_is_the_key() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    // A copy is another file, although every byte is the same.
    env.land("copy.csv", rows(1..=3));
    let copy = env.until_finished("copy.csv", 3).await;
    assert_ne!(copy.file_id, first.file_id);
    // After a restart it is the same file, and goes on with the next row.
    tailer.drain().await;
    env.append("a.csv", row(4));
    let tailer = env.tail();
    let grown = env.until_finished("a.csv", 4).await;
    assert_eq!(grown.file_id, first.file_id);
    env.close(&grown).await;
    until("it is archived", async || env.archived().len() == 1).await;
    // The same name and content again is another file.
    env.append("a.csv", rows(1..=4));
    let again = env.until_totals("a.csv", |one| one.file_id != first.file_id && one.rows_read == 4).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(first.file_id), [1, 2, 3, 4]);
    assert_eq!(contents.rows_of(again.file_id), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_put_back_from_the_archive_is_a_new_one() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    env.close(&first).await;
    env.until_archived(first.file_id).await;
    fs::rename(&env.archived()[0], env.path("a.csv")).unwrap();
    let second = env
        .until_totals("a.csv", |totals| {
            totals.state == FileState::Finished && totals.file_id != first.file_id
        })
        .await;
    assert_eq!(second.rows_read, 3);
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_links_stay_inside() {
    // Whichever of the two is met first.
    for (file, link) in [("events.csv", "a_latest.csv"), ("a.csv", "z_latest.csv")] {
        let env = TestEnv::start().await;
        symlink(file, env.path(link)).unwrap();
        symlink("/proc/self/environ", env.path("env.csv")).unwrap();
        let tailer = env.tail();
        env.land(file, rows(1..=3));
        let totals = env.until_finished(file, 3).await;
        env.append(file, row(4));
        let grown = env.until_finished(file, 4).await;
        assert_eq!(totals.file_id, grown.file_id);
        env.close(&grown).await;
        env.until_archived(grown.file_id).await;
        // Without its file the link is nothing, also for the next tailer.
        let outcome = tailer.drain().await;
        assert_eq!(outcome.files, [grown.file_id]);
        let [(path, why)] = &outcome.parked[..] else { panic!("one link is refused: {outcome:?}") };
        assert_eq!(*path, env.path("env.csv"));
        assert!(why.contains("leaves its directory") && !why.contains("environ"), "{why}");
        let sent = env.messages().await;
        let outcome = env.tail_once().end().await.unwrap();
        assert_eq!((outcome.files.len(), outcome.open, outcome.parked.len()), (0, 0, 1));
        assert_eq!(env.messages().await, sent);
        assert!(env.path(link).is_symlink() && env.path("env.csv").is_symlink());
        assert_eq!(env.contents().await.rows_of(grown.file_id), [1, 2, 3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_links_stay_inside_also_one_that_comes_into_the_place_of_a_file() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    let outside = env.aside("outside.csv");
    fs::write(&outside, rows(1..=9)).unwrap();
    symlink(&outside, env.path("b.csv.part")).unwrap();
    fs::rename(env.path("b.csv.part"), env.path("a.csv")).unwrap();
    let truncated = env.until_totals("a.csv", |one| one.state == FileState::Truncated).await;
    assert_eq!((truncated.file_id, truncated.rows_read), (totals.file_id, 3));
    let outcome = tailer.drain().await;
    assert_eq!((outcome.files.len(), outcome.parked.len()), (1, 1), "{outcome:?}");
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_stays_the_same() {
    let env = TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    env.until_rows(3).await;
    fs::rename(env.path("a.csv"), env.path("b.csv")).unwrap();
    env.append("b.csv", row(4));
    env.until_rows(4).await;
    // Also one that was renamed while no tailer was running.
    tailer.drain().await;
    fs::rename(env.path("b.csv"), env.path("c.csv")).unwrap();
    env.append("c.csv", row(5));
    let tailer = env.tail_with(|config| config.tail.finish_after = Duration::from_millis(100));
    let totals = env.until_finished("c.csv", 5).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(totals.file_id), [1, 2, 3, 4, 5]);
    assert_eq!(contents.files().len(), 1);
    assert!(contents.totals().iter().all(|totals| totals.state != FileState::Truncated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_file_that_is_renamed_is_not_sent_again() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let totals = env.until_finished("a.csv", 3).await;
    fs::rename(env.path("a.csv"), env.path("b.csv")).unwrap();
    let renamed = env.until_finished("b.csv", 3).await;
    assert_eq!(renamed.file_id, totals.file_id);
    env.close(&renamed).await;
    until("it is archived", async || env.archived().len() == 1).await;
    tailer.drain().await;
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_mapping_is_pinned() {
    let env = TestEnv::start().await;
    let no_id = |rows: &str| format!("ts,event,customer_id,session_id,a,b\n{rows}");
    let source = |price: &str, id: &str| common::config::Source {
        columns: [("price".to_owned(), price.to_owned())].into(),
        id_from: vec![id.to_owned()],
        ..common::config::Source::default()
    };
    env.append("old.csv", no_id("2024-03-13 10:21:14,view,c1,s1,1,2\n"));
    let tailer = env.tail_with(|config| config.source = vec![source("a", "customer_id")]);
    let totals = env.until_finished("old.csv", 1).await;
    tailer.drain().await;
    let before = env.contents().await.event_ids();

    // Lost, and so sent again, by a tailer which is configured otherwise; and grown.
    env.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    env.append("old.csv", "2024-03-13 10:21:15,view,c2,s1,3,4\n");
    env.land("new.csv", no_id("2024-03-13 10:21:14,view,c1,s1,1,2\n"));
    let tailer = env.tail_with(|config| config.source = vec![source("b", "session_id")]);
    env.until_finished("old.csv", 2).await;
    env.until_finished("new.csv", 1).await;
    tailer.drain().await;

    let contents = env.contents().await;
    let price = |file, row| {
        let events = contents.events();
        let found = events.iter().find(|event| (event.file_id, event.row) == (file, row)).unwrap();
        (found.price.as_deref().unwrap().to_owned(), found.event_id)
    };
    let (origin, id) = before.first_key_value().unwrap();
    assert_eq!(price(totals.file_id, 1), ("1".to_owned(), *id), "row {} got another id", origin.row);
    assert_eq!(price(totals.file_id, 2).0, "3");
    let other = contents.files().into_iter().find(|file| *file != totals.file_id).unwrap();
    assert_eq!(price(other, 1).0, "2");
    assert_ne!(price(other, 1).1, *id);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_values_are_not_guessed_the_unit_of_times_is_settled_once_a_file() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", format!("{HEADER}1,view,1710325274,c,p,1\n"));
    env.until_finished("a.csv", 1).await;
    // After a restart, too.
    tailer.drain().await;
    let tailer = env.tail();
    env.append("a.csv", "2,view,1710325274000,c,p,1\n3,view,1710325275,c,p,1\n");
    let totals = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!((totals.published, totals.rejected), (2, 1));
    let contents = env.contents().await;
    assert_eq!(contents.rejects()[0].row, 2);
    assert_eq!(&*contents.events()[1].event_timestamp, "2024-03-13T10:21:15Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_one_tailer_a_directory() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=1));
    env.until_finished("a.csv", 1).await;
    // The same landing directory, and the same checkpoints for another one.
    let checkpoints = env.config.checkpoint_dir();
    let second = env.tail_with(|config| config.tail.checkpoint_dir = Some(env.aside("checkpoints")));
    let third = env.tail_with(|config| {
        config.tail.landing_dir = Some(env.aside("landing"));
        config.tail.checkpoint_dir = Some(checkpoints.clone());
    });
    for (other, dir) in [(second, env.config.landing_dir()), (third, checkpoints.clone())] {
        let error = other.end().await.unwrap_err();
        assert!(matches!(error, Error::Lock(_)));
        assert!(
            error.to_string().starts_with(&format!("another producer tails {};", dir.display())),
            "{error}"
        );
    }
    tailer.drain().await;
    env.tail().drain().await;
}
