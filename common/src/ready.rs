//! Asks a broker that has just started, or is busy, until it is ready.

use std::time::Duration;

use crate::nats::Nats;
use crate::outage::Outage;
use crate::shutdown::Shutdown;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long an answer may take once nobody wants to wait for it any more: longer than that of a broker which is ready.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// An error of which some kinds pass by themselves.
pub trait Passing: std::error::Error + 'static {
    /// Whether to ask again.
    fn passes(&self) -> bool;
    /// Asked to stop meanwhile.
    fn stopped() -> Self;
    /// The server does not permit it, in its `word`.
    fn denied(word: String) -> Self;
}

/// Asks until there is an answer, with growing pauses: one line of `outage` when it takes more than one try, and one
/// when it is over. An error ends it that does not pass by itself, and so do a denied permission, which the one who
/// asks would take for a late answer, and `shutdown` when it drains.
pub async fn until_ready<T, E: Passing, A: Future<Output = Result<T, E>>>(
    nats: &Nats,
    outage: &Outage,
    shutdown: &Shutdown,
    mut ask: impl FnMut() -> A,
) -> Result<T, E> {
    let mut denied = nats.denied.clone();
    denied.mark_unchanged();
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = tokio::select! {
            biased;
            answer = ask() => answer,
            Ok(()) = denied.changed() => {
                return Err(E::denied(denied.borrow_and_update().clone().unwrap_or_default()));
            }
            () = soon_after(shutdown) => return Err(E::stopped()),
        };
        match answer {
            Ok(value) => {
                outage.succeeded();
                return Ok(value);
            }
            Err(error) if error.passes() => outage.failed(&error),
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = shutdown.draining() => return Err(E::stopped()),
        }
    }
}

async fn soon_after(shutdown: &Shutdown) {
    shutdown.draining().await;
    tokio::time::sleep(LAST_CHANCE).await;
}
