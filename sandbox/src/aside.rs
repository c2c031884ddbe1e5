//! Blocking work in a thread of its own.
//!
//! Nothing here is bound to a runtime, so services outlive the one that started them; and a runtime that shuts down
//! does not wait for the thread, as it would for one of its own.

use std::panic::resume_unwind;
use std::thread;

use tokio::sync::oneshot;

/// Runs blocking work and waits for its result. Dropping the future leaves the work to end by itself.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (give, result) = oneshot::channel();
    let worker = thread::spawn(move || {
        // Nobody waits any more: what the result holds is dropped, which ends a service.
        let _ = give.send(work());
    });
    match result.await {
        Ok(result) => result,
        Err(_) => match worker.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => unreachable!("the result is sent before the thread ends"),
        },
    }
}
