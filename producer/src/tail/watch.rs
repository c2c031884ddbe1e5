//! Notifications of the file system, as messages to the tailer.

use std::path::Path;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::tailer_message::TailerMessage;

/// Notifications only shorten the wait: without them, the poll finds every change.
pub(super) fn watch(
    landing: &Path,
    to_tailer: mpsc::Sender<TailerMessage>,
) -> Option<notify::RecommendedWatcher> {
    let dir = landing.to_owned();
    let notify_tailer = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, notify::EventKind::Access(_)) {
            // A scan gives this path too, which may be relative.
            for name in event.paths.iter().filter_map(|path| path.file_name()) {
                // If the inbox is full, the tailer is about to check its files anyway.
                let _ = to_tailer.try_send(TailerMessage::Changed(dir.join(name)));
            }
        }
    };
    let watcher = notify::recommended_watcher(notify_tailer).and_then(|mut watcher| {
        watcher.watch(landing, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(
            |error| tracing::warn!(%error, "no file notifications; scanning every tail.poll instead"),
        )
        .ok()
}
