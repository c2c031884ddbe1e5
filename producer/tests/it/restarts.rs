//! Stopping and starting in the middle of a file.

use std::time::Duration;

use common::FileId;
use common::wire::FileState;

use crate::test_env::{Tailer, TestEnv, row, rows, until};

const ROWS: u128 = 20_000;

/// A tailer that has begun with a large file and is not through. Its small window keeps it from being fast.
async fn in_the_middle(env: &TestEnv) -> Tailer {
    env.land("a.csv", rows(1..=ROWS));
    begun(env).await
}

async fn begun(env: &TestEnv) -> Tailer {
    let tailer = env.tail_with(|config| {
        config.publish.window = 20;
        config.publish.ack_timeout = Duration::from_mins(1);
    });
    until("it has begun", async || tailer.progress.messages() > 500).await;
    tailer
}

/// A tailer that sends nothing again because an acknowledgement is late, however slow the machine is.
fn patient(env: &TestEnv) -> Tailer {
    env.tail_with(|config| config.publish.ack_timeout = Duration::from_mins(1))
}

/// Whether the numbers rise but for as many places as the tailer was started again.
fn rises(rows: &[i64], restarts: usize) -> bool {
    rows.windows(2).filter(|pair| pair[0] >= pair[1]).count() <= restarts
}

async fn rows_of_the_only_file(env: &TestEnv) -> (FileId, Vec<i64>) {
    let contents = env.contents().await;
    contents.event_ids();
    let files: Vec<FileId> = contents.files().into_iter().collect();
    let [file] = files[..] else { panic!("one file: {files:?}") };
    (file, contents.rows_of(file))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_tailer_goes_on_where_it_was() {
    let env = TestEnv::start().await;
    in_the_middle(&env).await.drain().await;
    let (_, first) = rows_of_the_only_file(&env).await;
    assert!(first.len() < 20_000, "it was stopped before it was through");
    let tailer = patient(&env);
    env.until_finished("a.csv", 20_000).await;
    tailer.drain().await;
    // Each once, in order.
    assert_eq!(rows_of_the_only_file(&env).await.1, (1..=20_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tailer_that_was_stopped_at_once_sends_again_what_was_not_acknowledged() {
    let env = TestEnv::start().await;
    in_the_middle(&env).await.stop().await;
    begun(&env).await.stop().await;
    let tailer = patient(&env);
    env.until_finished("a.csv", 20_000).await;
    tailer.drain().await;
    let (_, rows) = rows_of_the_only_file(&env).await;
    assert!(rises(&rows, 2), "each run sends rows in order");
    let mut distinct = rows.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct, (1..=20_000).collect::<Vec<_>>());
    // Positions are flushed at the end, so that only what was on its way comes twice.
    assert!(rows.len() < 22_500, "{} rows were sent", rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_checkpoints_a_file_is_a_new_one() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    std::fs::remove_dir_all(env.config.checkpoint_dir()).unwrap();
    let tailer = env.tail();
    let second = env.until_totals("a.csv", |one| one.file_id != first.file_id && one.rows_read == 3).await;
    tailer.drain().await;
    assert_eq!(env.contents().await.rows_of(second.file_id), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_newer_format_is_refused_and_stays_as_it_is() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    let path = env.checkpoint_store();
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refusals = [
        env.tail().end().await.unwrap_err().to_string(),
        producer::checkpoint_summaries(&env.config).unwrap_err().to_string(),
    ];
    for error in refusals {
        assert!(error.starts_with(&format!("{} has format 9", path.display())), "{error}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
    let names = std::fs::read_dir(env.config.checkpoint_dir()).unwrap();
    assert!(
        names.map(|name| name.unwrap().file_name()).all(|name| !name.to_string_lossy().contains("damaged"))
    );
}

/// As where the clock was ahead by a year, and was put right while nobody tailed.
#[tokio::test(flavor = "multi_thread")]
async fn rule_time_goes_back_and_later_totals_have_a_later_revision() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    let limit = env.config.checkpoint_dir().join("revision_limit");
    let used: i64 = std::fs::read_to_string(&limit).unwrap().trim().parse().unwrap();
    assert!(used >= first.revision, "a crash now would forget that {} was used", first.revision);
    let ahead = used + 365 * 86_400 * 1_000_000;
    std::fs::write(&limit, format!("{ahead}\n")).unwrap();
    let tailer = env.tail();
    env.append("a.csv", row(4));
    let grown = env.until_finished("a.csv", 4).await;
    assert!(grown.revision > ahead);
    // Also when it is removed, and its totals are those of a truncated file.
    std::fs::remove_file(env.path("a.csv")).unwrap();
    let gone = env.until_totals("a.csv", |totals| totals.state == FileState::Truncated).await;
    assert!(gone.revision > grown.revision);
    tailer.drain().await;
}
