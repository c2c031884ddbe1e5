//! Whether batching makes progress: rows that are queued while a writer waits for them are work, and a batch is progress.

use std::sync::{Mutex, MutexGuard, PoisonError};

use common::health::Pulse;

/// What is between decoding and the writers. While all writers are busy, a full queue is no stall of batching.
#[derive(Debug)]
pub(crate) struct Handover {
    pulse: Pulse,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queued: usize,
    waiting_writers: usize,
}

impl Handover {
    pub(crate) fn new(pulse: Pulse) -> Self {
        Self { pulse, state: Mutex::default() }
    }

    /// A message is about to be queued.
    pub(crate) fn offered(&self) {
        let mut state = self.lock();
        state.queued += 1;
        self.report(&state);
    }

    /// A writer waits for a batch.
    pub(crate) fn waits(&self) {
        let mut state = self.lock();
        state.waiting_writers += 1;
        self.report(&state);
    }

    /// A writer has taken a batch of so many messages.
    pub(crate) fn taken(&self, messages: usize) {
        let mut state = self.lock();
        state.waiting_writers -= 1;
        state.queued = state.queued.saturating_sub(messages);
        self.pulse.rest();
        self.report(&state);
    }

    fn report(&self, state: &State) {
        if state.queued > 0 && state.waiting_writers > 0 {
            self.pulse.work();
        } else {
            self.pulse.rest();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
