//! The bucket of closed files does not grow with the files that ever were.

use common::FileId;
use common::stream::{self, STREAM};
use common::wire::ClosedFile;

use crate::bed::{Bed, rows, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_is_taken_out_when_its_file_is_put_away() {
    let bed = Bed::start().await;
    // Of another tailer's file: it stays.
    bed.announce_closed(FileId::from(7), ClosedFile { revision: 1, rows_read: 1 }).await;
    let tailer = bed.tail();
    for name in ["a.csv", "b.csv"] {
        bed.land(name, rows(1..=3));
        let account = bed.until_finished(name, 3).await;
        bed.close(&account).await;
    }
    until("they are archived", async || bed.archived().len() == 2).await;
    let bucket = bed.closed_bucket().await;
    let left = async || bucket.stream.get_info().await.unwrap().state.messages;
    until("their announcements are gone", async || left().await == 1).await;
    assert!(bucket.get("7").await.unwrap().is_some());
    assert_eq!(bucket.stream.cached_info().config.max_age, stream::CLOSED_FOR);
    tailer.drain().await;
}

/// A tailer that was away for so long that the announcement is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_announcement_is_gone_is_announced_again() {
    let bed = Bed::start().await;
    let tailer = bed.tail();
    bed.land("a.csv", rows(1..=3));
    let before = bed.until_finished("a.csv", 3).await;
    tailer.drain().await;
    bed.close(&before).await;
    bed.jetstream.delete_key_value(stream::CLOSED).await.unwrap();
    let tailer = bed.tail();
    // The consumer answers totals of a later revision by announcing the file once more.
    let again = bed.until_account("a.csv", |account| account.revision > before.revision).await;
    bed.close(&again).await;
    until("it is archived", async || bed.archived().len() == 1).await;
    tailer.drain().await;
    assert!(bed.jetstream.get_stream(STREAM).await.is_ok());
}
