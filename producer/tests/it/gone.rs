//! Files that go away, or turn into others, while nobody looks: what was read of them has an account.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use common::FileId;
use common::wire::FileState;

use crate::bed::{Bed, row, rows, until};

/// A file whose rows were read and which does not count as finished.
async fn read_and_left(bed: &Bed, name: &str) -> FileId {
    let tailer = bed.tail();
    let before = bed.contents().await.rows().len();
    bed.append(name, rows(1..=3));
    bed.until_rows(before + 3).await;
    tailer.drain().await;
    bed.contents().await.rows().last().unwrap().file
}

/// The last account of a file, and how many rows it tells.
async fn last(bed: &Bed, file: FileId) -> (FileState, i64) {
    let accounts = bed.accounts().await;
    let last = accounts.iter().rfind(|account| account.file_id == file).unwrap();
    (last.state, last.rows_read)
}

async fn bed() -> Bed {
    Bed::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_removed_while_nobody_read_it_has_its_account() {
    let bed = bed().await;
    let file = read_and_left(&bed, "a.csv").await;
    fs::remove_file(bed.path("a.csv")).unwrap();
    let outcome = bed.tail_once().end().await.unwrap();
    assert_eq!(last(&bed, file).await, (FileState::Truncated, 3));
    assert_eq!((outcome.open, outcome.parked.len()), (0, 0));
    // It is said once.
    let sent = bed.messages().await;
    bed.tail_once().end().await.unwrap();
    assert_eq!(bed.messages().await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_became_another_one_while_nobody_read_it_has_its_account() {
    let another_header = format!("note,{}", rows(4..=5)).replace("\n0", "\nn,0");
    let becomes = [
        ("it has another header, which fits nothing", "when,what\n1,2\n"),
        ("it has another header, and rows", &another_header),
        ("it is empty", ""),
    ];
    for (what, text) in becomes {
        let bed = bed().await;
        let file = read_and_left(&bed, "a.csv").await;
        fs::write(bed.path("a.csv"), text).unwrap();
        let tailer = bed.tail();
        until(what, async || last(&bed, file).await == (FileState::Truncated, 3)).await;
        tailer.drain().await;
    }
    let bed = bed().await;
    let file = read_and_left(&bed, "a.csv").await;
    bed.land("a.csv", rows(1..=5));
    let tailer = bed.tail();
    until("another file is in its place", async || last(&bed, file).await == (FileState::Truncated, 3)).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_directory_is_gone_only_when_it_is_not_there() {
    let bed = bed().await;
    let file = read_and_left(&bed, "a.csv").await;
    let elsewhere = async || {
        let tailer = bed.tail_with(|config| config.tail.landing_dir = Some(bed.aside("elsewhere")));
        fs::create_dir_all(bed.aside("elsewhere")).unwrap();
        tailer.ending.cancel();
        tailer.end().await.unwrap();
    };
    elsewhere().await;
    assert_eq!(last(&bed, file).await, (FileState::Open, 0), "it is in its place");
    fs::rename(bed.path("a.csv"), bed.path("b.csv")).unwrap();
    elsewhere().await;
    assert_eq!(last(&bed, file).await, (FileState::Open, 0), "it has another name there");
    fs::rename(bed.config.landing_dir(), bed.aside("unmounted")).unwrap();
    elsewhere().await;
    assert_eq!(last(&bed, file).await, (FileState::Open, 0), "nobody can tell whether it is there");
    fs::rename(bed.aside("unmounted"), bed.config.landing_dir()).unwrap();
    fs::remove_file(bed.path("b.csv")).unwrap();
    elsewhere().await;
    assert_eq!(last(&bed, file).await, (FileState::Truncated, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_gone_while_its_directory_cannot_be_read() {
    let bed = bed().await;
    let producer = bed.producer(&["tail"]);
    bed.append("a.csv", rows(1..=3));
    bed.until_rows(3).await;
    let says = async |words: &str| fs::read_to_string(bed.log()).unwrap().contains(words);
    fs::rename(bed.config.landing_dir(), bed.aside("unmounted")).unwrap();
    until("it looks in vain", async || says("the landing directory cannot be read").await).await;
    fs::rename(bed.aside("unmounted"), bed.config.landing_dir()).unwrap();
    until("it looks again", async || says("the landing directory can be read again").await).await;
    bed.append("a.csv", row(4));
    bed.until_rows(4).await;
    producer.drain().await;
    let contents = bed.contents().await;
    assert_eq!(contents.files().len(), 1);
    assert!(contents.accounts().iter().all(|account| account.state == FileState::Open));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_file_stays_the_same_and_the_new_one_is_another() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    bed.until_rows(3).await;
    fs::rename(bed.path("a.csv"), bed.path("a-1.csv")).unwrap();
    bed.append("a.csv", rows(1..=1) + &row(11));
    bed.append("a-1.csv", row(4));
    let old = bed.until_finished("a-1.csv", 4).await;
    let new = bed.until_finished("a.csv", 2).await;
    // And names that two files exchange.
    fs::rename(bed.path("a.csv"), bed.path("a-2.csv")).unwrap();
    fs::rename(bed.path("a-1.csv"), bed.path("a.csv")).unwrap();
    assert_eq!(bed.until_finished("a.csv", 4).await.file_id, old.file_id);
    assert_eq!(bed.until_finished("a-2.csv", 2).await.file_id, new.file_id);
    tailer.drain().await;
    let contents = bed.contents().await;
    assert_eq!(contents.rows_of(old.file_id), [1, 2, 3, 4]);
    assert_eq!(contents.rows_of(new.file_id), [1, 2]);
    assert!(contents.accounts().iter().all(|account| account.state != FileState::Truncated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_name_of_a_file_is_parked_and_its_rows_are_read_once() {
    let bed = Bed::start().await;
    bed.land("a.csv", rows(1..=3));
    fs::hard_link(bed.path("a.csv"), bed.path("b.csv")).unwrap();
    let tailer = bed.tail();
    let account = bed.until_finished("a.csv", 3).await;
    let parked = async |why: &str| {
        let outcome = bed.tail_once().end().await.unwrap();
        let [(path, said)] = &outcome.parked[..] else { panic!("one name is parked: {outcome:?}") };
        assert_eq!((path.as_path(), said.contains(why)), (bed.path("b.csv").as_path(), true), "{said}");
    };
    tailer.drain().await;
    let closing = bed.close_all();
    parked("is the same file as").await;
    drop(closing);
    // Also when the first name has gone to the archive.
    assert_eq!(bed.archived().len(), 1);
    parked(&bed.archived()[0].display().to_string()).await;
    let contents = bed.contents().await;
    assert_eq!(contents.rows_of(account.file_id), [1, 2, 3]);
    assert_eq!(contents.files().len(), 1);
    // Without the other name it is what it is: a file that was put there once more.
    fs::remove_file(&bed.archived()[0]).unwrap();
    let tailer = bed.tail();
    bed.until_finished("b.csv", 3).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_and_the_account_of_a_truncated_file_is_sent_again() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    let file = bed.until_finished("a.csv", 3).await.file_id;
    fs::remove_file(bed.path("a.csv")).unwrap();
    until("it is truncated", async || last(&bed, file).await.0 == FileState::Truncated).await;
    tailer.drain().await;
    bed.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    bed.tail_once().end().await.unwrap();
    assert_eq!(last(&bed, file).await, (FileState::Truncated, 3));
    assert!(bed.contents().await.rows().is_empty(), "the rows are lost with the stream");
    // Once is enough.
    let sent = bed.messages().await;
    bed.tail_once().end().await.unwrap();
    assert_eq!(bed.messages().await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_and_rows_of_a_file_that_is_gone_are_missed() {
    let bed = bed().await;
    let file = read_and_left(&bed, "a.csv").await;
    bed.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    fs::remove_file(bed.path("a.csv")).unwrap();
    bed.tail_once().end().await.unwrap();
    // The rows cannot come again. An account of none of them would hide that.
    assert_eq!(last(&bed, file).await, (FileState::Truncated, 3));
    assert!(bed.contents().await.rows().is_empty());
}

/// A writer that begins anew in the same file, between two reads of one who is held back.
#[tokio::test(flavor = "multi_thread")]
async fn rule_rewrite_is_a_new_file_also_while_it_is_read() {
    let mut bed = Bed::start().await;
    // More than one read, the channel and the window hold.
    bed.land("a.csv", rows(1..=40_000));
    let inode = fs::metadata(bed.path("a.csv")).unwrap().ino();
    let tailer = bed.tail_with(|config| config.publish.window = 20);
    until("it has begun", async || tailer.progress.messages() > 100).await;
    bed.kill_nats();
    fs::write(bed.path("a.csv"), rows(50_001..=95_000)).unwrap();
    assert_eq!(fs::metadata(bed.path("a.csv")).unwrap().ino(), inode);
    bed.restart_nats().await;
    let account = bed.until_finished("a.csv", 45_000).await;
    tailer.drain().await;
    let contents = bed.contents().await;
    assert!(contents.rejects().is_empty(), "no row begins within another one: {:?}", contents.rejects());
    for event in contents.events() {
        let number: i64 = event.customer_id.as_ref().unwrap()["customer ".len()..].parse().unwrap();
        let expected = if event.file_id == account.file_id { 50_000 + event.row } else { event.row };
        assert_eq!(number, expected);
    }
}
