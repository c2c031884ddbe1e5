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
    let body = format!(
        r#"{{"v":1,"file_id":7,"row":{sequence},"written_us":9,"event_id":"{}","event_type":"view","event_timestamp":"2024-03-13T10:21:14Z"}}"#,
        Uuid::from_u128(event)
    );
    decode(Message {
        position: StreamPosition { stream_created: DateTime::UNIX_EPOCH, sequence },
        reply: Reply("reply".into()),
        subject: "events.view".into(),
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
