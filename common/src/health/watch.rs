//! Logs stages that are stuck: one line when it begins, and one when it is over.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Health;

/// How often stages are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// A thread that watches; dropping this ends it.
#[derive(Debug)]
#[must_use = "nothing is watched any more when this is dropped"]
pub struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(health: Health) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("health".to_owned()).spawn(move || watch(&health, &stopped));
        let thread = thread.inspect_err(|error| tracing::error!(%error, "stages are not watched")).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once.
            let _ = thread.join();
        }
    }
}

fn watch(health: &Health, stopped: &Receiver<()>) {
    let mut logged = BTreeSet::new();
    while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let stuck = health.stuck_for(Instant::now());
        for (&stage, without) in &stuck {
            if logged.insert(stage) {
                tracing::error!(
                    stage,
                    without_progress_s = without.as_secs(),
                    "stage has work and makes no progress; /healthz says so until it goes on or is restarted"
                );
            }
        }
        logged.retain(|stage| {
            let lasts = stuck.contains_key(stage);
            if !lasts {
                tracing::info!(stage, "stage makes progress again");
            }
            lasts
        });
    }
}
