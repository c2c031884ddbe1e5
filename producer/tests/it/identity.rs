//! Which file is which: what keeps its rows' origins, and what is another file.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use common::wire::FileState;
use producer::Error;

use crate::bed::{Bed, HEADER, row, rows, until};

#[tokio::test(flavor = "multi_thread")]
async fn rule_rewrite_is_a_new_file() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=5));
    let first = bed.until_finished("a.csv", 5).await;
    // Truncated and written again, in the same inode.
    fs::write(bed.path("a.csv"), rows(11..=13)).unwrap();
    let second = bed.until_finished("a.csv", 3).await;
    // Replaced, in another inode, by a longer one.
    bed.land("a.csv", rows(21..=29));
    let third = bed.until_finished("a.csv", 9).await;
    tailer.drain().await;

    let contents = bed.contents().await;
    let ids = [first.file_id, second.file_id, third.file_id];
    assert_eq!(ids.map(|id| contents.rows_of(id).len()), [5, 3, 9]);
    assert_eq!(contents.files().len(), 3);
    // What was read of the first two stands as their account.
    for (file_id, rows_read) in [(first.file_id, 5), (second.file_id, 3)] {
        let last = contents.accounts().into_iter().rfind(|account| account.file_id == file_id).unwrap();
        assert_eq!((last.state, last.rows_read), (FileState::Truncated, rows_read));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_rewrite_is_a_new_file_also_when_it_was_refilled_beyond_the_position_while_nobody_looked() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=5));
    let first = bed.until_finished("a.csv", 5).await;
    tailer.drain().await;
    // The same inode, header and first record, and more bytes than before.
    fs::write(bed.path("a.csv"), rows(1..=1) + &row(7).repeat(20)).unwrap();
    let tailer = bed.tail();
    let second = bed.until_finished("a.csv", 21).await;
    tailer.drain().await;
    assert_ne!(first.file_id, second.file_id);
    let contents = bed.contents().await;
    assert_eq!((contents.rows_of(first.file_id).len(), contents.rows_of(second.file_id).len()), (5, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_removed_before_its_end_was_read_has_the_account_of_what_was_read() {
    let bed = Bed::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3) + "4,view,");
    bed.until_rows(3).await;
    fs::remove_file(bed.path("a.csv")).unwrap();
    let account = bed.until_account("a.csv", |account| account.state == FileState::Truncated).await;
    assert_eq!((account.rows_read, account.published), (3, 3));
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_origin_is_the_key() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    let first = bed.until_finished("a.csv", 3).await;
    // A copy is another file, although every byte is the same.
    bed.land("copy.csv", rows(1..=3));
    let copy = bed.until_finished("copy.csv", 3).await;
    assert_ne!(copy.file_id, first.file_id);
    // After a restart it is the same file, and goes on with the next row.
    tailer.drain().await;
    bed.append("a.csv", row(4));
    let tailer = bed.tail();
    let grown = bed.until_finished("a.csv", 4).await;
    assert_eq!(grown.file_id, first.file_id);
    bed.close(&grown).await;
    until("it is archived", async || bed.archived().len() == 1).await;
    // The same name and content again is another file.
    bed.append("a.csv", rows(1..=4));
    let again = bed.until_account("a.csv", |one| one.file_id != first.file_id && one.rows_read == 4).await;
    tailer.drain().await;
    let contents = bed.contents().await;
    assert_eq!(contents.rows_of(first.file_id), [1, 2, 3, 4]);
    assert_eq!(contents.rows_of(again.file_id), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_put_back_from_the_archive_is_a_new_one() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let first = bed.until_finished("a.csv", 3).await;
    bed.close(&first).await;
    bed.until_archived(first.file_id).await;
    fs::rename(&bed.archived()[0], bed.path("a.csv")).unwrap();
    let second = bed
        .until_account("a.csv", |account| {
            account.state == FileState::Finished && account.file_id != first.file_id
        })
        .await;
    assert_eq!(second.rows_read, 3);
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_links_stay_inside() {
    // Whichever of the two is met first.
    for (file, link) in [("events.csv", "a_latest.csv"), ("a.csv", "z_latest.csv")] {
        let bed = Bed::start().await;
        symlink(file, bed.path(link)).unwrap();
        symlink("/proc/self/environ", bed.path("env.csv")).unwrap();
        let tailer = bed.tail();
        bed.land(file, rows(1..=3));
        let account = bed.until_finished(file, 3).await;
        bed.append(file, row(4));
        let grown = bed.until_finished(file, 4).await;
        assert_eq!(account.file_id, grown.file_id);
        bed.close(&grown).await;
        bed.until_archived(grown.file_id).await;
        // Without its file the link is nothing, also for the next tailer.
        let outcome = tailer.drain().await;
        assert_eq!(outcome.files, [grown.file_id]);
        let [(path, why)] = &outcome.parked[..] else { panic!("one link is refused: {outcome:?}") };
        assert_eq!(*path, bed.path("env.csv"));
        assert!(why.contains("leaves its directory") && !why.contains("environ"), "{why}");
        let sent = bed.messages().await;
        let outcome = bed.tail_once().end().await.unwrap();
        assert_eq!((outcome.files.len(), outcome.open, outcome.parked.len()), (0, 0, 1));
        assert_eq!(bed.messages().await, sent);
        assert!(bed.path(link).is_symlink() && bed.path("env.csv").is_symlink());
        assert_eq!(bed.contents().await.rows_of(grown.file_id), [1, 2, 3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_links_stay_inside_also_one_that_comes_into_the_place_of_a_file() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    let outside = bed.aside("outside.csv");
    fs::write(&outside, rows(1..=9)).unwrap();
    symlink(&outside, bed.path("b.csv.part")).unwrap();
    fs::rename(bed.path("b.csv.part"), bed.path("a.csv")).unwrap();
    let truncated = bed.until_account("a.csv", |one| one.state == FileState::Truncated).await;
    assert_eq!((truncated.file_id, truncated.rows_read), (account.file_id, 3));
    let outcome = tailer.drain().await;
    assert_eq!((outcome.files.len(), outcome.parked.len()), (1, 1), "{outcome:?}");
    assert_eq!(bed.contents().await.rows_of(account.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_stays_the_same() {
    let bed = Bed::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    bed.until_rows(3).await;
    fs::rename(bed.path("a.csv"), bed.path("b.csv")).unwrap();
    bed.append("b.csv", row(4));
    bed.until_rows(4).await;
    // Also one that was renamed while nobody looked.
    tailer.drain().await;
    fs::rename(bed.path("b.csv"), bed.path("c.csv")).unwrap();
    bed.append("c.csv", row(5));
    let tailer = bed.tail_with(|config| config.tail.finish_after = Duration::from_millis(100));
    let account = bed.until_finished("c.csv", 5).await;
    tailer.drain().await;
    let contents = bed.contents().await;
    assert_eq!(contents.rows_of(account.file_id), [1, 2, 3, 4, 5]);
    assert_eq!(contents.files().len(), 1);
    assert!(contents.accounts().iter().all(|account| account.state != FileState::Truncated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_file_that_is_renamed_is_not_sent_again() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let account = bed.until_finished("a.csv", 3).await;
    fs::rename(bed.path("a.csv"), bed.path("b.csv")).unwrap();
    let renamed = bed.until_finished("b.csv", 3).await;
    assert_eq!(renamed.file_id, account.file_id);
    bed.close(&renamed).await;
    until("it is archived", async || bed.archived().len() == 1).await;
    tailer.drain().await;
    assert_eq!(bed.contents().await.rows_of(account.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_mapping_is_pinned() {
    let bed = Bed::start().await;
    let no_id = |rows: &str| format!("ts,event,customer_id,session_id,a,b\n{rows}");
    let source = |price: &str, id: &str| common::config::Source {
        columns: [("price".to_owned(), price.to_owned())].into(),
        id_from: vec![id.to_owned()],
        ..common::config::Source::default()
    };
    bed.append("old.csv", no_id("2024-03-13 10:21:14,view,c1,s1,1,2\n"));
    let tailer = bed.tail_with(|config| config.source = vec![source("a", "customer_id")]);
    let account = bed.until_finished("old.csv", 1).await;
    tailer.drain().await;
    let before = bed.contents().await.event_ids();

    // Lost, and so sent again, by a tailer which is configured otherwise; and grown.
    bed.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    bed.append("old.csv", "2024-03-13 10:21:15,view,c2,s1,3,4\n");
    bed.land("new.csv", no_id("2024-03-13 10:21:14,view,c1,s1,1,2\n"));
    let tailer = bed.tail_with(|config| config.source = vec![source("b", "session_id")]);
    bed.until_finished("old.csv", 2).await;
    bed.until_finished("new.csv", 1).await;
    tailer.drain().await;

    let contents = bed.contents().await;
    let price = |file, row| {
        let events = contents.events();
        let found = events.iter().find(|event| (event.file_id, event.row) == (file, row)).unwrap();
        (found.price.as_deref().unwrap().to_owned(), found.event_id)
    };
    let (origin, id) = before.first_key_value().unwrap();
    assert_eq!(price(account.file_id, 1), ("1".to_owned(), *id), "row {} got another id", origin.row);
    assert_eq!(price(account.file_id, 2).0, "3");
    let other = contents.files().into_iter().find(|file| *file != account.file_id).unwrap();
    assert_eq!(price(other, 1).0, "2");
    assert_ne!(price(other, 1).1, *id);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_values_are_not_guessed_the_unit_of_times_is_settled_once_a_file() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", format!("{HEADER}1,view,1710325274,c,p,1\n"));
    bed.until_finished("a.csv", 1).await;
    // After a restart, too.
    tailer.drain().await;
    let tailer = bed.tail();
    bed.append("a.csv", "2,view,1710325274000,c,p,1\n3,view,1710325275,c,p,1\n");
    let account = bed.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!((account.published, account.rejected), (2, 1));
    let contents = bed.contents().await;
    assert_eq!(contents.rejects()[0].row, 2);
    assert_eq!(&*contents.events()[1].event_timestamp, "2024-03-13T10:21:15Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_one_tailer_a_directory() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=1));
    bed.until_finished("a.csv", 1).await;
    // The same landing directory, and the same checkpoints for another one.
    let checkpoints = bed.config.checkpoint_dir();
    let second = bed.tail_with(|config| config.tail.checkpoint_dir = Some(bed.aside("checkpoints")));
    let third = bed.tail_with(|config| {
        config.tail.landing_dir = Some(bed.aside("landing"));
        config.tail.checkpoint_dir = Some(checkpoints.clone());
    });
    for (other, dir) in [(second, bed.config.landing_dir()), (third, checkpoints.clone())] {
        let error = other.end().await.unwrap_err();
        assert!(matches!(error, Error::Lock(_)));
        assert!(
            error.to_string().starts_with(&format!("another producer tails {};", dir.display())),
            "{error}"
        );
    }
    tailer.drain().await;
    bed.tail().drain().await;
}
