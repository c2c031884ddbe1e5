#![doc = include_str!("../README.md")]

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
