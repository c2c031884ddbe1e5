//! Receives from the consumer which files are closed. Entries of the bucket enter, messages to the tailer leave.
//!
//! The entry of a file that was put away is deleted, so that the bucket does not grow for ever. Entries of another tailer's
//! files stay, for that tailer or until [`stream::CLOSED_FOR`] is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::{self, Entry, Operation};
use common::nats::Nats;
use common::wire::ClosedFile;
use common::{Backoff, FileId, fault, stream};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::checkpoint::{State, Store};
use crate::tailer_message::TailerMessage;

/// How often entries are deleted.
const SWEEP: Duration = Duration::from_secs(1);

/// Watches until the tailer has ended. The watch is made again after an error and after each reconnect, since a server
/// that has lost the bucket does not report it. It then sends every entry once more, which is harmless.
pub(crate) async fn watch(nats: Nats, store: Arc<Store>, to_tailer: mpsc::Sender<TailerMessage>) {
    let mut connected = nats.connected.clone();
    let mut backoff = Backoff::of_broker();
    while !to_tailer.is_closed() {
        connected.mark_unchanged();
        if let Ok(bucket) = stream::closed_bucket(&nats.jetstream).await
            && let Ok(mut entries) = bucket.watch_with_history(">").await
        {
            backoff = Backoff::of_broker();
            let mut received = Received::default();
            let mut sweep = tokio::time::interval(SWEEP);
            loop {
                let entry = tokio::select! {
                    Ok(()) = connected.changed() => break,
                    entry = entries.next() => entry,
                    _ = sweep.tick() => {
                        received.take_out(&bucket, &store).await;
                        continue;
                    }
                };
                let Some(Ok(entry)) = entry else { break };
                fault::point("closed");
                let Some((file_id, closed)) = read(&entry) else { continue };
                received.revisions.insert(file_id, entry.revision);
                if to_tailer.send(TailerMessage::Closed(file_id, closed)).await.is_err() {
                    return;
                }
            }
        }
        backoff.wait(to_tailer.closed()).await;
    }
}

/// The entries of this tailer's files that are not put away, with their revisions.
#[derive(Debug, Default)]
struct Received {
    revisions: BTreeMap<FileId, u64>,
    /// Whether the broker has refused to delete one, for example without the permission. It is tried again after the next
    /// reconnect.
    is_refused: bool,
}

impl Received {
    async fn take_out(&mut self, bucket: &kv::Store, store: &Store) {
        let mut done = Vec::new();
        self.revisions.retain(|file, revision| {
            let known =
                store.of_file(*file).inspect_err(|error| tracing::debug!(%error, %file, "has no checkpoint"));
            match known.map(|known| known.map(|checkpoint| checkpoint.state)) {
                Err(_) => true,
                Ok(Some(State::Archived { .. } | State::Kept | State::Deleted)) => {
                    done.push((*file, *revision));
                    false
                }
                Ok(known) => known.is_some(),
            }
        });
        for (file, revision) in done {
            if self.is_refused {
                return;
            }
            let subject = format!("$KV.{}.{file}", stream::CLOSED);
            // A later entry of the same file is of later totals, and stays.
            let purged = bucket.stream.purge().filter(subject).sequence(revision + 1).await;
            if let Err(error) = purged {
                tracing::debug!(%error, %file, "the entry stays in the bucket of closed files");
                self.is_refused = true;
            }
        }
    }
}

fn read(entry: &Entry) -> Option<(FileId, ClosedFile)> {
    if entry.operation != Operation::Put {
        return None;
    }
    let file_id = entry.key.parse::<i64>().map(FileId::from);
    let (Ok(file_id), Ok(closed)) = (file_id, serde_json::from_slice::<ClosedFile>(&entry.value)) else {
        tracing::warn!(key = entry.key, "an entry of the bucket of closed files cannot be read");
        return None;
    };
    Some((file_id, closed))
}
