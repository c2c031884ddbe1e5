//! Handing on what turns brought. Many small files are written and sent together: what has to be on disk before their
//! rows are sent costs one fsync for all of them.

use std::io;
use std::time::Duration;

use common::fault;
use tokio::sync::mpsc;

use super::Tailer;
use crate::checkpoint::{Error, State};
use crate::tail::reading::Chunk;

/// How many bytes of messages are handed on at least, while other files have more to read.
pub(super) const ENOUGH: usize = 256 << 10;

/// How long it is until positions that could not be written are written again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

impl Tailer {
    /// Hands on what turns brought, once what must be known of it after a crash is written. The error says that nobody
    /// takes chunks any more.
    pub(super) fn hand_on(&mut self) -> Result<(), mpsc::error::SendError<Chunk>> {
        if self.pending.is_empty() && !self.is_held {
            return Ok(());
        }
        if let Err(error) = self.context.store.before_sending() {
            if let Error::Damaged { .. } = error {
                self.failed = Some(error);
            } else if !self.is_held {
                let error = anyhow::Error::new(error);
                tracing::error!("positions cannot be written, and nothing is read until they can: {error:#}");
            }
            self.is_held = true;
            return Ok(());
        }
        if std::mem::take(&mut self.is_held) {
            tracing::info!("positions are written again; reading on");
        }
        if self.pending.marks.iter().any(|mark| mark.state == State::Truncated) {
            fault::point("after_truncated");
        }
        let pending = std::mem::take(&mut self.pending);
        // While there is no room the publisher is at work, or waits for the broker.
        self.pulse.rest();
        self.chunks.blocking_send(Chunk { generation: self.generation, ..pending })
    }
}

/// Whether a file could not be read because the store is damaged: no other file can be either.
pub(super) fn is_damaged(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    matches!(cause, Some(Error::Damaged { .. }))
}
