//! A store of checkpoints that is cut, emptied or overwritten: it is moved aside, and every row arrives all the same.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::FileId;
use common::config::OnClose;
use sandbox::testing::Log;

use crate::test_env::{TestEnv, row, rows, until};

type Damage = fn(&Path);
/// From which byte on.
type DamageFrom = fn(&Path, usize);

const DAMAGES: [(&str, Damage); 5] = [
    ("zero length", |store| fs::write(store, "").unwrap()),
    ("filled with zeros", |store| fs::write(store, vec![0; size(store)]).unwrap()),
    ("cut within a page", |store| cut(store, size(store) - 1_000)),
    ("cut within the first page", |store| cut(store, 77)),
    ("gone", |store| fs::remove_file(store).unwrap()),
];

fn size(path: &Path) -> usize {
    usize::try_from(fs::metadata(path).unwrap().len()).unwrap()
}

fn cut(path: &Path, size: usize) {
    File::options().write(true).open(path).unwrap().set_len(size as u64).unwrap();
}

/// What was moved aside.
fn moved(env: &TestEnv) -> Vec<PathBuf> {
    let paths = fs::read_dir(env.config.checkpoint_dir()).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("checkpoints.db.damaged-")).collect()
}

/// A file that is in the archive, and one of which three rows were read while it is still written.
async fn with_an_open_file(env: &mut TestEnv) -> FileId {
    env.land("done.csv", rows(11..=13));
    let closing = env.close_all();
    env.tail_once().end().await.unwrap();
    drop(closing);
    env.append("open.csv", rows(1..=3));
    let tailer = env.tail_with(|config| config.tail.finish_after = Duration::from_hours(1));
    env.until_rows(6).await;
    let path = env.path("open.csv").display().to_string();
    let all_totals = env.totals().await;
    tailer.drain().await;
    all_totals.into_iter().rfind(|totals| totals.path == path).unwrap().file_id
}

#[tokio::test]
async fn a_damaged_store_is_moved_aside_and_open_files_are_read_again_as_what_they_were() {
    let log = Log::listen();
    for (what, damage) in DAMAGES {
        let mut env = TestEnv::start().await;
        let file = with_an_open_file(&mut env).await;
        damage(&env.checkpoint_store());
        let damaged = fs::read(env.checkpoint_store()).ok();
        let before = log.lines("the checkpoints are lost").len();
        let tailer = env.tail();
        env.append("open.csv", row(4));
        let totals = env.until_finished("open.csv", 4).await;
        assert_eq!(totals.file_id, file, "{what}");
        env.close(&totals).await;
        env.until_archived(file).await;
        tailer.drain().await;
        let contents = env.contents().await;
        contents.each_origin_has_one_content();
        let sent: BTreeSet<i64> = contents.rows_of(file).into_iter().collect();
        assert_eq!(sent, (1..=4).collect(), "{what}");
        assert_eq!(
            (contents.files().len(), contents.event_ids().len()),
            (2, 7),
            "{what}: nothing else is read"
        );
        let aside = moved(&env)
            .into_iter()
            .find(|path| path.extension().is_none_or(|end| !end.to_string_lossy().contains("-wal")));
        if let Some(damaged) = damaged {
            assert!(fs::read(aside.unwrap()).unwrap() == damaged, "{what}: nothing of it is deleted");
        }
        let lines = log.lines("the checkpoints are lost");
        assert_eq!(lines.len(), before + 1, "{what}: {lines:?}");
        assert!(lines.last().unwrap().starts_with("ERROR"), "{lines:?}");
    }
}

/// The stream says that it was read to its end, and nobody knows whether it was deleted then and this is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_be_another_one_gets_a_new_id_when_the_store_is_lost() {
    let env = TestEnv::start_with(|config| config.tail.on_close = OnClose::Delete).await;
    env.land("a.csv", rows(1..=3));
    let tailer = env.tail();
    let before = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    fs::write(env.checkpoint_store(), "").unwrap();
    let tailer = env.tail();
    let after =
        env.until_totals("a.csv", |totals| totals.file_id != before.file_id && totals.rows_read == 3).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(after.file_id), [1, 2, 3]);
    let distinct: BTreeSet<_> = contents.events().iter().map(|event| event.event_id).collect();
    assert_eq!(distinct.len(), 3, "the tables know the rows by their ids");
}

/// After a kill, wherever store and log are cut or overwritten.
#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_store_in_use_is_cut_every_row_arrives() {
    const ROWS: u128 = 300;
    let zeroed: DamageFrom = |path, at| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at..].fill(0);
        fs::write(path, bytes).unwrap();
    };
    let ways: [(&str, DamageFrom); 2] = [("cut", cut), ("zeros from", zeroed)];
    for (number, ending) in ["", "-wal"].into_iter().cycle().take(12).enumerate() {
        let (how, damage) = ways[number / 2 % 2];
        let env = TestEnv::start().await;
        for (name, first) in [("a.csv", 1), ("b.csv", 1 + ROWS), ("c.csv", 1 + 2 * ROWS)] {
            env.land(name, rows(first..=first + ROWS - 1));
        }
        let closing = env.close_all();
        env.producer_that_dies_at(&format!("after_checkpoint_commit:{}", 2 + number % 5), &["tail"])
            .dies()
            .await;
        let path = PathBuf::from(format!("{}{ending}", env.checkpoint_store().display()));
        let at = size(&path) * (number * 7 % 12) / 12 + number;
        let at = at.min(size(&path));
        damage(&path, at);
        let log = || fs::read_to_string(env.log()).unwrap();
        let mut ended = env.producer(&["tail", "--once"]).end().await;
        if ended.code != Some(0) {
            // Damage that is met only when it is read ends the producer; the next start makes a new store.
            assert!(log().contains("the checkpoints are lost"), "{how} {at} of {ending:?}: {}", log());
            ended = env.producer(&["tail", "--once"]).end().await;
        }
        drop(closing);
        assert_eq!(ended.code, Some(0), "{how} {at} of {ending:?}: {}", log());
        let contents = env.contents().await;
        let names: BTreeSet<String> =
            contents.events().iter().map(|event| event.customer_id.as_ref().unwrap().to_string()).collect();
        assert_eq!(names.len(), 900, "{how} {at} of {ending:?}");
        assert_eq!(fs::read_dir(env.config.landing_dir()).unwrap().count(), 0, "{how} {at} of {ending:?}");
        until("archived", async || env.archived().len() == 3).await;
    }
}
