//! The bucket of closed files does not grow with the files that ever were.

use common::FileId;
use common::stream::{self, STREAM};
use common::wire::ClosedFile;

use crate::test_env::{TestEnv, rows, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_taken_out_when_its_file_is_put_away() {
    let env = TestEnv::start().await;
    // Of another tailer's file: it stays.
    env.announce_closed(FileId::from(7), ClosedFile { revision: 1, rows_read: 1 }).await;
    let tailer = env.tail();
    for name in ["a.csv", "b.csv"] {
        env.land(name, rows(1..=3));
        let totals = env.until_finished(name, 3).await;
        env.close(&totals).await;
    }
    until("they are archived", async || env.archived().len() == 2).await;
    let bucket = env.closed_bucket().await;
    let left = async || bucket.stream.get_info().await.unwrap().state.messages;
    until("their announcements are gone", async || left().await == 1).await;
    assert!(bucket.get("7").await.unwrap().is_some());
    assert_eq!(bucket.stream.cached_info().config.max_age, stream::CLOSED_FOR);
    tailer.drain().await;
}

/// A tailer that was away for so long that the announcement is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_announcement_is_gone_is_announced_again() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    let before = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    env.close(&before).await;
    env.jetstream.delete_key_value(stream::CLOSED).await.unwrap();
    let tailer = env.tail();
    // The consumer answers totals of a later revision by announcing the file once more.
    let again = env.until_totals("a.csv", |totals| totals.revision > before.revision).await;
    env.close(&again).await;
    until("it is archived", async || env.archived().len() == 1).await;
    tailer.drain().await;
    assert!(env.jetstream.get_stream(STREAM).await.is_ok());
}
