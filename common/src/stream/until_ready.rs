//! Repeats a request to a broker that has just started, or is busy, until it is ready.

use std::time::Duration;

use super::Error;
use crate::nats::Nats;
use crate::retry::{self, Backoff, Classify, Outage};
use crate::shutdown::Shutdown;

/// How long an answer may take after `shutdown` drains: longer than that of a broker which is ready.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// Repeats `ask` until there is an answer. It ends with an error that is not transient, with a denied permission, which
/// `ask` itself would take for a late answer, and when `shutdown` drains.
pub async fn until_ready<T, E: Classify + From<Error>, A: Future<Output = Result<T, E>>>(
    nats: &Nats,
    outage: &Outage,
    shutdown: &Shutdown,
    mut ask: impl FnMut() -> A,
) -> Result<T, E> {
    let mut denied = nats.denied.clone();
    denied.mark_unchanged();
    let attempt = || {
        let (answer, mut denied) = (ask(), denied.clone());
        async move {
            tokio::select! {
                biased;
                answer = answer => answer,
                Ok(()) = denied.changed() => {
                    Err(Error::Denied { reason: denied.borrow().clone().unwrap_or_default() }.into())
                }
                () = soon_after(shutdown) => Err(Error::Stopped.into()),
            }
        }
    };
    let answer = retry::until_ok(outage, Backoff::of_broker(), shutdown.draining(), attempt).await?;
    answer.ok_or_else(|| Error::Stopped.into())
}

async fn soon_after(shutdown: &Shutdown) {
    shutdown.draining().await;
    tokio::time::sleep(LAST_CHANCE).await;
}
