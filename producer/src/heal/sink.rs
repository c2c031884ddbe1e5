//! Where the messages go that are missing.

use common::fault;
use tokio::sync::mpsc;

use super::Error;
use crate::map::Mapped;
use crate::tail::Chunk;

/// The way out of a healing.
#[derive(Debug)]
pub(super) enum Sink {
    Publisher(mpsc::Sender<Chunk>),
    /// Nothing goes out: somebody only wants to know.
    Nowhere,
}

impl Sink {
    pub(super) async fn send(&self, messages: Vec<Mapped>) -> Result<(), Error> {
        if let Some((chunks, chunk)) = self.chunk(messages) {
            chunks.send(chunk).await?;
            fault::point("heal_sent");
        }
        Ok(())
    }

    /// As [`Sink::send`], on a thread that may block.
    pub(super) fn blocking_send(&self, messages: Vec<Mapped>) -> Result<(), Error> {
        if let Some((chunks, chunk)) = self.chunk(messages) {
            chunks.blocking_send(chunk)?;
            fault::point("heal_sent");
        }
        Ok(())
    }

    fn chunk(&self, messages: Vec<Mapped>) -> Option<(&mpsc::Sender<Chunk>, Chunk)> {
        match self {
            Self::Publisher(chunks) if !messages.is_empty() => {
                Some((chunks, Chunk { messages, ..Chunk::default() }))
            }
            _ => None,
        }
    }
}
