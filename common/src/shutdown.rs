//! How a process ends: first it drains, then it stops.
//!
//! A first signal asks every stage to finish what it holds. A second one, or the end of the grace period,
//! makes them stop where they are; what was not acknowledged is delivered again to the next process.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A request to end, in two steps. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    stop: CancellationToken,
    /// Listens for signals as long as anyone holds the request.
    listener: Option<Arc<AbortOnDropHandle<()>>>,
}

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// A request which SIGINT or SIGTERM makes: the first drains, the second stops at once, and so does the
    /// end of `grace` after the first.
    pub fn on_signals(grace: Duration) -> Self {
        let mut shutdown = Self::new();
        let of_signals = shutdown.clone();
        let listener = tokio::spawn(async move {
            signal().await;
            tracing::info!(grace_s = grace.as_secs(), "draining; a second signal stops at once");
            of_signals.drain();
            tokio::select! {
                () = signal() => tracing::warn!("stopped at once by a second signal"),
                () = tokio::time::sleep(grace) => {
                    tracing::warn!(grace_s = grace.as_secs(), "stopped: the grace period is over");
                }
            }
            of_signals.stop();
        });
        shutdown.listener = Some(Arc::new(AbortOnDropHandle::new(listener)));
        shutdown
    }

    /// Asks to finish what is at hand and take nothing new.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Asks to stop at once; draining is over.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Completes when draining is asked for.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Completes when stopping is asked for.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// A request of its own for one part of a process, which this one's drain and stop reach too.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            drain: self.drain.child_token(),
            stop: self.stop.child_token(),
            listener: self.listener.clone(),
        }
    }
}

/// Completes at the next SIGINT or SIGTERM.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
}
