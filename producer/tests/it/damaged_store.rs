//! A store of checkpoints that is cut, emptied or overwritten: it is moved aside, and every row arrives all the same.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::FileId;
use common::config::OnClose;
use sandbox::testing::Log;

use crate::bed::{Bed, row, rows, until};

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
fn moved(bed: &Bed) -> Vec<PathBuf> {
    let paths = fs::read_dir(bed.config.checkpoint_dir()).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("checkpoints.db.damaged-")).collect()
}

/// A file that is in the archive, and one of which three rows were read while it is still written.
async fn with_an_open_file(bed: &mut Bed) -> FileId {
    bed.land("done.csv", rows(11..=13));
    let closing = bed.close_all();
    bed.tail_once().end().await.unwrap();
    drop(closing);
    bed.append("open.csv", rows(1..=3));
    let tailer = bed.tail_with(|config| config.tail.finish_after = Duration::from_hours(1));
    bed.until_rows(6).await;
    let path = bed.path("open.csv").display().to_string();
    let accounts = bed.accounts().await;
    tailer.drain().await;
    accounts.into_iter().rfind(|account| account.path == path).unwrap().file_id
}

#[tokio::test]
async fn a_damaged_store_is_moved_aside_and_open_files_are_read_again_as_what_they_were() {
    let log = Log::listen();
    for (what, damage) in DAMAGES {
        let mut bed = Bed::start().await;
        let file = with_an_open_file(&mut bed).await;
        damage(&bed.checkpoint_store());
        let damaged = fs::read(bed.checkpoint_store()).ok();
        let before = log.lines("the checkpoints are lost").len();
        let tailer = bed.tail();
        bed.append("open.csv", row(4));
        let account = bed.until_finished("open.csv", 4).await;
        assert_eq!(account.file_id, file, "{what}");
        bed.close(&account).await;
        bed.until_archived(file).await;
        tailer.drain().await;
        let contents = bed.contents().await;
        contents.each_origin_has_one_content();
        let sent: BTreeSet<i64> = contents.rows_of(file).into_iter().collect();
        assert_eq!(sent, (1..=4).collect(), "{what}");
        assert_eq!(
            (contents.files().len(), contents.event_ids().len()),
            (2, 7),
            "{what}: nothing else is read"
        );
        let aside = moved(&bed)
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
    let bed = Bed::start_with(|config| config.tail.on_close = OnClose::Delete).await;
    bed.land("a.csv", rows(1..=3));
    let tailer = bed.tail();
    let before = bed.until_finished("a.csv", 3).await;
    tailer.drain().await;
    fs::write(bed.checkpoint_store(), "").unwrap();
    let tailer = bed.tail();
    let after = bed
        .until_account("a.csv", |account| account.file_id != before.file_id && account.rows_read == 3)
        .await;
    tailer.drain().await;
    let contents = bed.contents().await;
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
        let bed = Bed::start().await;
        for (name, first) in [("a.csv", 1), ("b.csv", 1 + ROWS), ("c.csv", 1 + 2 * ROWS)] {
            bed.land(name, rows(first..=first + ROWS - 1));
        }
        let closing = bed.close_all();
        bed.producer_that_dies_at(&format!("after_checkpoint_commit:{}", 2 + number % 5), &["tail"])
            .dies()
            .await;
        let path = PathBuf::from(format!("{}{ending}", bed.checkpoint_store().display()));
        let at = size(&path) * (number * 7 % 12) / 12 + number;
        let at = at.min(size(&path));
        damage(&path, at);
        let log = || fs::read_to_string(bed.log()).unwrap();
        let mut status = bed.producer(&["tail", "--once"]).end().await;
        if !status.success() {
            // Damage that is met only when it is read ends the producer; the next start makes a new store.
            assert!(log().contains("the checkpoints are lost"), "{how} {at} of {ending:?}: {}", log());
            status = bed.producer(&["tail", "--once"]).end().await;
        }
        drop(closing);
        assert!(status.success(), "{how} {at} of {ending:?}: {status} {}", log());
        let contents = bed.contents().await;
        let names: BTreeSet<String> =
            contents.events().iter().map(|event| event.customer_id.as_ref().unwrap().to_string()).collect();
        assert_eq!(names.len(), 900, "{how} {at} of {ending:?}");
        assert_eq!(fs::read_dir(bed.config.landing_dir()).unwrap().count(), 0, "{how} {at} of {ending:?}");
        until("archived", async || bed.archived().len() == 3).await;
    }
}
