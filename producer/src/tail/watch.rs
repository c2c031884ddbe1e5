//! Notifications of the file system, as wake-ups of the tailer.

use std::path::Path;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::wake::Wake;

/// Notifications shorten the wait; where there are none the poll finds everything.
pub(super) fn watch(landing: &Path, wakes: mpsc::Sender<Wake>) -> Option<notify::RecommendedWatcher> {
    let dir = landing.to_owned();
    let tell = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if !matches!(event.kind, notify::EventKind::Access(_)) {
            // Under the name that a scan gives, which may be relative.
            for name in event.paths.iter().filter_map(|path| path.file_name()) {
                // A full inbox means that the tailer is awake anyway.
                let _ = wakes.try_send(Wake::Changed(dir.join(name)));
            }
        }
    };
    let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(landing, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| tracing::warn!(%error, "no file notifications; looking every tail.poll instead"))
        .ok()
}
