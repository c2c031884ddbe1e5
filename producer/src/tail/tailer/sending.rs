//! Sends chunks to the publisher. Those of many small files are sent together, so that their checkpoints, which have to
//! be on disk before their rows are sent, need one fsync.

use std::io;
use std::time::Duration;

use common::fault;
use tokio::sync::mpsc;

use super::Tailer;
use crate::checkpoint::{Error, State};
use crate::tail::reading::Chunk;

/// Messages are sent from this size on, in bytes, or when no file has more to read.
pub(super) const SEND_FROM_BYTES: usize = 256 << 10;

/// How long to wait before positions that could not be written are written again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

impl Tailer {
    /// Sends what is pending, after writing the checkpoints that are needed after a crash. Fails when the publisher has
    /// ended.
    pub(super) fn send_pending(&mut self) -> Result<(), mpsc::error::SendError<Chunk>> {
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
        // While the channel is full, it is the publisher that works, or waits for the broker.
        self.pulse.rest();
        self.chunks.blocking_send(Chunk { generation: self.generation, ..pending })
    }
}

/// Whether a file could not be read because the store of checkpoints is damaged. Then no file can be.
pub(super) fn is_damaged(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    matches!(cause, Some(Error::Damaged { .. }))
}
