//! Files that are removed, or become others, while no tailer is running: the rows that were read are in their totals.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use common::FileId;
use common::wire::FileState;

use crate::test_env::{TestEnv, row, rows, until};

/// A file whose rows were read and which does not count as finished.
async fn read_and_left(env: &TestEnv, name: &str) -> FileId {
    let tailer = env.tail();
    let before = env.contents().await.rows().len();
    env.append(name, rows(1..=3));
    env.until_rows(before + 3).await;
    tailer.drain().await;
    env.contents().await.rows().last().unwrap().file
}

/// The last totals of a file: their state and how many rows they count.
async fn last(env: &TestEnv, file: FileId) -> (FileState, i64) {
    let all_totals = env.totals().await;
    let last = all_totals.iter().rfind(|totals| totals.file_id == file).unwrap();
    (last.state, last.rows_read)
}

async fn env() -> TestEnv {
    TestEnv::start_with(|config| config.tail.finish_after = Duration::from_mins(1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_removed_without_a_tailer_has_its_totals() {
    let env = env().await;
    let file = read_and_left(&env, "a.csv").await;
    fs::remove_file(env.path("a.csv")).unwrap();
    let outcome = env.tail_once().end().await.unwrap();
    assert_eq!(last(&env, file).await, (FileState::Truncated, 3));
    assert_eq!((outcome.open, outcome.parked.len()), (0, 0));
    // It is said once.
    let sent = env.messages().await;
    env.tail_once().end().await.unwrap();
    assert_eq!(env.messages().await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_became_another_one_without_a_tailer_has_its_totals() {
    let another_header = format!("note,{}", rows(4..=5)).replace("\n0", "\nn,0");
    let becomes = [
        ("it has another header, which fits nothing", "when,what\n1,2\n"),
        ("it has another header, and rows", &another_header),
        ("it is empty", ""),
    ];
    for (what, text) in becomes {
        let env = env().await;
        let file = read_and_left(&env, "a.csv").await;
        fs::write(env.path("a.csv"), text).unwrap();
        let tailer = env.tail();
        until(what, async || last(&env, file).await == (FileState::Truncated, 3)).await;
        tailer.drain().await;
    }
    let env = env().await;
    let file = read_and_left(&env, "a.csv").await;
    env.land("a.csv", rows(1..=5));
    let tailer = env.tail();
    until("another file is in its place", async || last(&env, file).await == (FileState::Truncated, 3)).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_directory_is_gone_only_when_it_is_not_there() {
    let env = env().await;
    let file = read_and_left(&env, "a.csv").await;
    let elsewhere = async || {
        let tailer = env.tail_with(|config| config.tail.landing_dir = Some(env.aside("elsewhere")));
        fs::create_dir_all(env.aside("elsewhere")).unwrap();
        tailer.ending.cancel();
        tailer.end().await.unwrap();
    };
    elsewhere().await;
    assert_eq!(last(&env, file).await, (FileState::Open, 0), "it is in its place");
    fs::rename(env.path("a.csv"), env.path("b.csv")).unwrap();
    elsewhere().await;
    assert_eq!(last(&env, file).await, (FileState::Open, 0), "it has another name there");
    fs::rename(env.config.landing_dir(), env.aside("unmounted")).unwrap();
    elsewhere().await;
    assert_eq!(last(&env, file).await, (FileState::Open, 0), "nobody can tell whether it is there");
    fs::rename(env.aside("unmounted"), env.config.landing_dir()).unwrap();
    fs::remove_file(env.path("b.csv")).unwrap();
    elsewhere().await;
    assert_eq!(last(&env, file).await, (FileState::Truncated, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_gone_while_its_directory_cannot_be_read() {
    let env = env().await;
    let producer = env.producer(&["tail"]);
    env.append("a.csv", rows(1..=3));
    env.until_rows(3).await;
    let says = async |words: &str| fs::read_to_string(env.log()).unwrap().contains(words);
    fs::rename(env.config.landing_dir(), env.aside("unmounted")).unwrap();
    until("it looks in vain", async || says("the landing directory cannot be read").await).await;
    fs::rename(env.aside("unmounted"), env.config.landing_dir()).unwrap();
    until("it looks again", async || says("the landing directory can be read again").await).await;
    env.append("a.csv", row(4));
    env.until_rows(4).await;
    producer.drain().await;
    let contents = env.contents().await;
    assert_eq!(contents.files().len(), 1);
    assert!(contents.totals().iter().all(|totals| totals.state == FileState::Open));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_file_stays_the_same_and_the_new_one_is_another() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    env.until_rows(3).await;
    fs::rename(env.path("a.csv"), env.path("a-1.csv")).unwrap();
    env.append("a.csv", rows(1..=1) + &row(11));
    env.append("a-1.csv", row(4));
    let old = env.until_finished("a-1.csv", 4).await;
    let new = env.until_finished("a.csv", 2).await;
    // And names that two files exchange.
    fs::rename(env.path("a.csv"), env.path("a-2.csv")).unwrap();
    fs::rename(env.path("a-1.csv"), env.path("a.csv")).unwrap();
    assert_eq!(env.until_finished("a.csv", 4).await.file_id, old.file_id);
    assert_eq!(env.until_finished("a-2.csv", 2).await.file_id, new.file_id);
    tailer.drain().await;
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(old.file_id), [1, 2, 3, 4]);
    assert_eq!(contents.rows_of(new.file_id), [1, 2]);
    assert!(contents.totals().iter().all(|totals| totals.state != FileState::Truncated));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_name_of_a_file_is_parked_and_its_rows_are_read_once() {
    let env = TestEnv::start().await;
    env.land("a.csv", rows(1..=3));
    fs::hard_link(env.path("a.csv"), env.path("b.csv")).unwrap();
    let tailer = env.tail();
    let totals = env.until_finished("a.csv", 3).await;
    let parked = async |why: &str| {
        let outcome = env.tail_once().end().await.unwrap();
        let [(path, said)] = &outcome.parked[..] else { panic!("one name is parked: {outcome:?}") };
        assert_eq!((path.as_path(), said.contains(why)), (env.path("b.csv").as_path(), true), "{said}");
    };
    tailer.drain().await;
    let closing = env.close_all();
    parked("is the same file as").await;
    drop(closing);
    // Also when the first name has gone to the archive.
    assert_eq!(env.archived().len(), 1);
    parked(&env.archived()[0].display().to_string()).await;
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(totals.file_id), [1, 2, 3]);
    assert_eq!(contents.files().len(), 1);
    // Without the other name it is what it is: a file that was put there once more.
    fs::remove_file(&env.archived()[0]).unwrap();
    let tailer = env.tail();
    env.until_finished("b.csv", 3).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_and_the_totals_of_a_truncated_file_are_sent_again() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    let file = env.until_finished("a.csv", 3).await.file_id;
    fs::remove_file(env.path("a.csv")).unwrap();
    until("it is truncated", async || last(&env, file).await.0 == FileState::Truncated).await;
    tailer.drain().await;
    env.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    env.tail_once().end().await.unwrap();
    assert_eq!(last(&env, file).await, (FileState::Truncated, 3));
    assert!(env.contents().await.rows().is_empty(), "the rows are lost with the stream");
    // Once is enough.
    let sent = env.messages().await;
    env.tail_once().end().await.unwrap();
    assert_eq!(env.messages().await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_and_rows_of_a_file_that_is_gone_are_missed() {
    let env = env().await;
    let file = read_and_left(&env, "a.csv").await;
    env.jetstream.delete_stream(common::stream::STREAM).await.unwrap();
    fs::remove_file(env.path("a.csv")).unwrap();
    env.tail_once().end().await.unwrap();
    // The rows cannot be sent again. Totals without them would hide that.
    assert_eq!(last(&env, file).await, (FileState::Truncated, 3));
    assert!(env.contents().await.rows().is_empty());
}

/// A writer that begins anew in the same file, between two reads of one who is held back.
#[tokio::test(flavor = "multi_thread")]
async fn rule_rewrite_is_a_new_file_also_while_it_is_read() {
    let mut env = TestEnv::start().await;
    // More than one read, the channel and the window hold.
    env.land("a.csv", rows(1..=40_000));
    let inode = fs::metadata(env.path("a.csv")).unwrap().ino();
    let tailer = env.tail_with(|config| config.publish.window = 20);
    until("it has begun", async || tailer.progress.messages() > 100).await;
    env.kill_nats();
    fs::write(env.path("a.csv"), rows(50_001..=95_000)).unwrap();
    assert_eq!(fs::metadata(env.path("a.csv")).unwrap().ino(), inode);
    env.restart_nats().await;
    let totals = env.until_finished("a.csv", 45_000).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert!(contents.rejects().is_empty(), "no row begins within another one: {:?}", contents.rejects());
    for event in contents.events() {
        let number: i64 = event.customer_id.as_ref().unwrap()["customer ".len()..].parse().unwrap();
        let expected = if event.file_id == totals.file_id { 50_000 + event.row } else { event.row };
        assert_eq!(number, expected);
    }
}
