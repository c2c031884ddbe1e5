//! Waiting in tests: for a condition, or for something to end, but not for ever.

use std::time::{Duration, Instant};

/// Longer than anything takes, also on a slow machine that does other things: only a mistake reaches it.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// How long it is from one look at a condition to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits for a condition; panics at the [`DEADLINE`] with `what` was waited for.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < DEADLINE, "waited too long: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for something to end; panics at the [`DEADLINE`] with `what` was waited for.
pub async fn ended<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(DEADLINE, future).await;
    ended.unwrap_or_else(|_| panic!("waited too long: {what}"))
}
