use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use uuid::Uuid;

use common::stream::StreamPosition;
use common::{Shutdown, config};
use ledger::batch_id::{BatchId, BatchIds, Run};

use super::*;
use crate::decode::decode;
use crate::fetch::Message;

fn ids(run: i64) -> BatchIds {
    BatchIds::of(Run { number: run, id: Uuid::from_u128(run.unsigned_abs().into()) })
}

fn delivery(sequence: u64, event: u128) -> Delivery {
    delivery_of(StreamPosition { stream_created: DateTime::UNIX_EPOCH, sequence }, event)
}

fn delivery_of(position: StreamPosition, event: u128) -> Delivery {
    let body = format!(
        r#"{{"v":1,"file_id":7,"row":{},"written_us":9,"event_id":"{}","event_type":"view","event_timestamp":"2024-03-13T10:21:14Z"}}"#,
        position.sequence,
        Uuid::from_u128(event)
    );
    decoded(position, "events.view", body)
}

fn decoded(position: StreamPosition, subject: &'static str, body: String) -> Delivery {
    decode(Message {
        position,
        reply: Some(Reply(format!("reply to {}", position.sequence).into())),
        subject: subject.into(),
        payload: Bytes::from(body),
        fetched_us: 0,
    })
    .unwrap()
}

#[tokio::test]
async fn a_free_writer_takes_what_is_queued_sorted_by_event() {
    let (queue, batches) = queue(&config::Batch::default(), 1, ids(3));
    for (sequence, event) in [(1, 30), (2, 10), (3, 20)] {
        assert!(queue.put(delivery(sequence, event)).await);
    }
    drop(queue);
    let batch = batches.next(&Shutdown::new()).await.unwrap();
    assert_eq!(batch.rows.iter().map(|row| row.event_id.as_u128()).collect::<Vec<_>>(), [10, 20, 30]);
    assert_eq!((batch.first.sequence, batch.last.sequence), (1, 3));
    assert_eq!(batch.id, BatchId { number: 3_000_000_000, run: Uuid::from_u128(3) });
    assert!(batches.next(&Shutdown::new()).await.is_none());
}

#[tokio::test]
async fn a_batch_ends_at_its_limit_of_rows() {
    let (queue, batches) = queue(&config::Batch { rows: 2, ..config::Batch::default() }, 1, ids(0));
    assert!(queue.put(delivery(1, 1)).await && queue.put(delivery(2, 2)).await);
    assert_eq!(batches.next(&Shutdown::new()).await.unwrap().rows.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn memory_is_free_only_when_the_batch_is_done() {
    // Room for two batches of one row.
    let (queue, batches) = queue(&config::Batch { bytes: 700, ..config::Batch::default() }, 1, ids(0));
    assert!(queue.put(delivery(1, 1)).await && queue.put(delivery(2, 2)).await);
    let batch = batches.next(&Shutdown::new()).await.unwrap();
    assert_eq!(batch.rows.len(), 1);
    let third = queue.put(delivery(3, 3));
    tokio::pin!(third);
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut third).await.is_err());
    drop(batch);
    assert!(third.await);
}

#[tokio::test(start_paused = true)]
async fn a_lingering_batch_waits_to_fill() {
    let linger = Some(Duration::from_millis(200));
    let (queue, batches) = queue(&config::Batch { linger, ..config::Batch::default() }, 1, ids(0));
    assert!(queue.put(delivery(1, 1)).await);
    let shutdown = Shutdown::new();
    let (batch, _) = tokio::join!(batches.next(&shutdown), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        queue.put(delivery(2, 2)).await
    });
    assert_eq!(batch.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn each_batch_has_an_id_of_its_own() {
    let (queue, batches) = queue(&config::Batch { rows: 1, ..config::Batch::default() }, 2, ids(3));
    for (sequence, number) in [(1, 3_000_000_000), (2, 3_000_000_001)] {
        assert!(queue.put(delivery(sequence, 1)).await);
        assert_eq!(batches.next(&Shutdown::new()).await.unwrap().id.number, number);
    }
}

#[tokio::test(start_paused = true)]
async fn few_rows_are_written_at_once_and_many_wait_to_be_more() {
    for (rows, waits_ms) in [(1, 0), (99, 0), (100, 25)] {
        let (queue, batches) = queue(&config::Batch::default(), 1, ids(0));
        for sequence in 1..=rows {
            assert!(queue.put(delivery(sequence, 1)).await);
        }
        let began = tokio::time::Instant::now();
        batches.next(&Shutdown::new()).await.unwrap();
        assert_eq!(began.elapsed().as_millis(), waits_ms, "{rows} rows");
    }
}

#[tokio::test]
async fn the_latest_totals_of_a_file_count_in_whichever_order_they_come() {
    let totals = |revision: i64| {
        let body = format!(
            r#"{{"v":1,"file_id":7,"revision":{revision},"path":"a.csv","source":"s","bytes":1,"state":"open","rows_read":0,"published":0,"rejected":0}}"#
        );
        decoded(StreamPosition::default(), common::stream::FILE, body)
    };
    for order in [[1, 2], [2, 1]] {
        let batch = Batch::alone(BatchId::default(), order.map(totals).into());
        let revisions: Vec<_> = batch.totals.values().map(|totals| totals.revision).collect();
        assert_eq!(revisions, [2]);
    }
}

#[test]
fn rule_acks_belong_to_an_incarnation_also_within_a_batch() {
    let created = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    let position = |seconds, sequence| StreamPosition { stream_created: created(seconds), sequence };
    let places = [position(1, 8), position(1, 9), position(2, 1), position(2, 2)];
    let batch = Batch::alone(BatchId::default(), places.map(|place| delivery_of(place, 1)).into());
    // The rows of all, and the places of the stream that there is.
    assert_eq!(batch.rows.len(), 4);
    let replies: Vec<_> = batch.replies.iter().map(|reply| reply.0.as_str()).collect();
    assert_eq!(replies, ["reply to 1", "reply to 2"]);
    assert_eq!((batch.first, batch.last), (position(2, 1), position(2, 2)));
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_a_batch_of_several_rows_is_free_again_and_no_more() {
    let limits = config::Batch { bytes: 4_000, ..config::Batch::default() };
    let (queue, batches) = queue(&limits, 1, ids(0));
    let fill = async || {
        let mut rows = 0;
        while tokio::time::timeout(Duration::from_secs(1), queue.put(delivery(1, 1))).await.is_ok() {
            rows += 1;
        }
        rows
    };
    let first = fill().await;
    assert!(first > 4, "several rows of a few hundred bytes fit in 4,000: {first}");
    let mut taken = 0;
    while taken < first {
        let batch = batches.next(&Shutdown::new()).await.unwrap();
        assert!(batch.rows.len() > 1);
        taken += batch.rows.len();
    }
    assert_eq!(fill().await, first);
}
