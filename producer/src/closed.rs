//! Hears from the consumer which files are closed. Entries of the bucket enter, wake-ups of the tailer leave.

use std::time::Duration;

use async_nats::jetstream::kv::{Operation, Store};
use common::FileId;
use common::wire::ClosedFile;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::tail::Wake;

/// Watches until the tailer is gone. A watch that breaks is made anew and tells everything once more, which is harmless.
pub(crate) async fn watch(bucket: Store, wakes: mpsc::Sender<Wake>) {
    let mut pause = Duration::from_millis(100);
    while !wakes.is_closed() {
        if let Ok(mut entries) = bucket.watch_with_history(">").await {
            pause = Duration::from_millis(100);
            while let Some(Ok(entry)) = entries.next().await {
                if entry.operation != Operation::Put {
                    continue;
                }
                let file_id = entry.key.parse::<i64>().map(FileId::from);
                let (Ok(file_id), Ok(closed)) = (file_id, serde_json::from_slice::<ClosedFile>(&entry.value))
                else {
                    tracing::warn!(key = entry.key, "an entry of the bucket of closed files cannot be read");
                    continue;
                };
                if wakes.send(Wake::Closed(file_id, closed)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}
