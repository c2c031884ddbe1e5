//! Hears from the consumer which files are closed. Entries of the bucket enter, wake-ups of the tailer leave.

use std::time::Duration;

use async_nats::jetstream::kv::{Entry, Operation};
use common::nats::Nats;
use common::wire::ClosedFile;
use common::{FileId, stream};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::tail::Wake;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Watches until the tailer is gone. A watch that breaks is made anew and tells everything once more, which is
/// harmless; so is one of before a reconnect, since the server may have lost the bucket, and the watch says nothing.
pub(crate) async fn watch(nats: Nats, wakes: mpsc::Sender<Wake>) {
    let mut connected = nats.connected.clone();
    let mut pause = FIRST_PAUSE;
    while !wakes.is_closed() {
        connected.mark_unchanged();
        if let Ok(bucket) = stream::closed_bucket(&nats.jetstream).await
            && let Ok(mut entries) = bucket.watch_with_history(">").await
        {
            pause = FIRST_PAUSE;
            loop {
                let entry = tokio::select! {
                    Ok(()) = connected.changed() => break,
                    entry = entries.next() => entry,
                };
                let Some(Ok(entry)) = entry else { break };
                if let Some(wake) = wake_of(&entry)
                    && wakes.send(wake).await.is_err()
                {
                    return;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn wake_of(entry: &Entry) -> Option<Wake> {
    if entry.operation != Operation::Put {
        return None;
    }
    let file_id = entry.key.parse::<i64>().map(FileId::from);
    let (Ok(file_id), Ok(closed)) = (file_id, serde_json::from_slice::<ClosedFile>(&entry.value)) else {
        tracing::warn!(key = entry.key, "an entry of the bucket of closed files cannot be read");
        return None;
    };
    Some(Wake::Closed(file_id, closed))
}
