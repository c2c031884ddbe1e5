//! Sends missing messages to the publisher, unless it is a dry run.

use common::fault;
use tokio::sync::mpsc;

use super::Error;
use crate::map::Mapped;
use crate::tail::Chunk;

#[derive(Debug)]
pub(super) enum Sink {
    Publisher(mpsc::Sender<Chunk>),
    /// Of a dry run.
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
