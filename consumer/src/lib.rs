//! Takes messages off the stream and puts them into PostgreSQL, each once.
//!
//! fetch -> decode -> batch -> write -> ack, wired in `pipeline`. Rows enter as messages and leave as `Committed`;
//! beside that path, `close` tells the tailer which files are complete. Every other part of the crate serves one of
//! these.

mod fetch; // messages off the durable
mod decode; // Message  -> Delivery
mod batch; // Delivery -> Batch
mod write; // Batch    -> Committed
mod ack; // Committed -> nothing left to do
mod close; // files that are reconciled
mod handover; // whether batching moves on
mod pipeline;
mod replay; // the stream once more

mod counts;
mod progress;

pub mod cli;

pub use counts::Counts;
pub use pipeline::{Error, run};
pub use progress::Progress;
