//! Waiting for what gives no notification.

use std::thread;
use std::time::{Duration, Instant};

const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Polls `done` until it is true, or `limit` is over; returns whether it was.
pub(crate) fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
