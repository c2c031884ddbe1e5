//! Checks whether the stream is still the same one, and whether it has lost messages.

use std::time::Duration;

use common::{Classify as _, ErrorClass, stream};
use tokio::sync::mpsc;

use super::{Error, Publisher};
use crate::stream_loss;
use crate::tail::Chunk;
use crate::tailer_message::TailerMessage;

impl Publisher {
    /// After a reconnect no acknowledgement of before will come, and a stream that is gone has to be made again. Either
    /// all that is on its way is sent again, or, where the stream lost what it had acknowledged, everything that is not
    /// closed.
    pub(super) async fn look_again(&mut self, chunks: &mut mpsc::Receiver<Chunk>) -> Result<(), Error> {
        let (events, now) = match stream::open(&self.nats.jetstream, &self.config.stream).await {
            Ok(found) => found,
            // It stays in doubt, and is asked for again.
            Err(error)
                if error.class() == ErrorClass::Transient
                    || matches!(error, stream::Error::NoRoom { .. }) =>
            {
                if self.nats.is_connected() {
                    self.outage.failed(&error);
                    // Logged as what it is.
                    self.pulse.beat();
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.outage.succeeded();
        self.is_in_doubt = false;
        if !stream_loss::is_lost(&events, now, &self.position()).await {
            for (number, subject, payload) in self.in_flight.late(Duration::ZERO) {
                self.progress.resent();
                self.send(number, subject, payload).await?;
            }
            return Ok(());
        }
        tracing::warn!(
            last_acknowledged = self.last.0,
            last_kept = now.last_sequence,
            made_again = now.created != self.created,
            "stream lost data, publishing again what is not closed"
        );
        self.created = now.created;
        self.last = (now.last_sequence, None);
        self.generation += 1;
        self.backlog.clear();
        self.in_flight.clear();
        self.refused = None;
        let rewind = TailerMessage::Rewind(self.generation);
        // The tailer may itself be waiting for room; what it gives until it has read this is void.
        let send = self.wakes.send(rewind);
        tokio::pin!(send);
        loop {
            tokio::select! {
                _ = &mut send => return Ok(()),
                Some(_) = chunks.recv() => {}
            }
        }
    }
}
