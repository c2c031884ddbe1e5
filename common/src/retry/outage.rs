//! Trouble that lasts is logged twice: in one line when it begins, and in one when it ends.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Whether a service is in trouble, shared by all who use it.
#[derive(Debug)]
pub struct Outage {
    service: &'static str,
    /// So that the healthy path takes no lock.
    lasts: AtomicBool,
    began: Mutex<Option<Began>>,
}

#[derive(Debug)]
struct Began {
    at: Instant,
    last_failure: Instant,
    retries: u64,
}

impl Outage {
    /// No trouble yet. `service` is what it is called in the lines.
    pub fn new(service: &'static str) -> Self {
        Self { service, lasts: AtomicBool::new(false), began: Mutex::new(None) }
    }

    /// A try failed and another one will follow.
    pub fn failed(&self, error: &(dyn Error + 'static)) {
        let error = crate::report::with_causes(error);
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(began) = began.as_mut() {
            began.retries += 1;
            began.last_failure = Instant::now();
            tracing::debug!(%error, retries = began.retries, "{} is still in trouble", self.service);
            return;
        }
        tracing::warn!(%error, "{} is in trouble; trying again until it is back", self.service);
        let now = Instant::now();
        *began = Some(Began { at: now, last_failure: now, retries: 1 });
        self.lasts.store(true, Ordering::Release);
    }

    /// A try succeeded.
    pub fn succeeded(&self) {
        self.succeeded_after(Instant::now());
    }

    /// A try that began then succeeded. Where another one has failed since, that proves nothing: a server that goes
    /// down still ends what it has at hand.
    pub fn succeeded_after(&self, began: Instant) {
        if !self.lasts.load(Ordering::Acquire) {
            return;
        }
        let mut outage = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = outage.take_if(|outage| outage.last_failure <= began);
        if let Some(Began { at, retries, .. }) = ended {
            self.lasts.store(false, Ordering::Release);
            tracing::info!(outage_ms = at.elapsed().as_millis(), retries, "{} is back", self.service);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_from_before_the_last_failure_does_not_end_an_outage() {
        let outage = Outage::new("a test");
        let lasts = || outage.lasts.load(Ordering::Relaxed);
        let before = Instant::now();
        outage.failed(&std::fmt::Error);
        outage.succeeded_after(before);
        assert!(lasts());
        outage.succeeded();
        assert!(!lasts());
        outage.failed(&std::fmt::Error);
        assert!(lasts(), "the next one begins anew");
    }
}
