//! Trouble that lasts is said twice: in one line when it begins, and in one when it ends.

use std::error::Error;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Whether a service is in trouble, shared by all who use it.
#[derive(Debug)]
pub(crate) struct Outage {
    service: &'static str,
    /// So that the healthy path takes no lock.
    lasts: AtomicBool,
    began: Mutex<Option<Began>>,
}

#[derive(Debug)]
struct Began {
    at: Instant,
    retries: u64,
}

impl Outage {
    pub(crate) fn new(service: &'static str) -> Self {
        Self { service, lasts: AtomicBool::new(false), began: Mutex::new(None) }
    }

    /// A try failed and another one will follow.
    pub(crate) fn failed(&self, error: &(dyn Error + 'static)) {
        let error = with_causes(error);
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(began) = began.as_mut() {
            began.retries += 1;
            tracing::debug!(%error, retries = began.retries, "{} is still in trouble", self.service);
            return;
        }
        tracing::warn!(%error, "{} is in trouble; trying again until it is back", self.service);
        *began = Some(Began { at: Instant::now(), retries: 1 });
        self.lasts.store(true, Ordering::Release);
    }

    /// A try succeeded.
    pub(crate) fn succeeded(&self) {
        if !self.lasts.swap(false, Ordering::AcqRel) {
            return;
        }
        let began = self.began.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Began { at, retries }) = began {
            tracing::info!(outage_ms = at.elapsed().as_millis(), retries, "{} is back", self.service);
        }
    }
}

/// An error and its causes in one line; a cause that its error names already is left out.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in iter::successors(error.source(), |&error| error.source()) {
        let cause = cause.to_string();
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}
