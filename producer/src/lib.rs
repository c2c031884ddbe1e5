#![doc = include_str!("../README.md")]

pub mod generate;
mod land;

mod file;
mod csv;
mod map;
mod file_reader;
mod tailer_message;
mod tail;
mod publish;
mod checkpoint;
mod closed;
mod archive;

mod stream_loss;
mod lock;
mod rebuild; // files whose checkpoints were lost
mod purge;
mod progress;
mod check;
pub mod rejects; // rejected rows, written for a person to correct, and read back
mod positions; // deleted for --fresh
pub mod row_lookup; // one row of a file, read again
pub mod heal; // publishes again what the database lacks
mod pipeline;

pub mod cli;

pub use checkpoint::{CheckpointSummary, checkpoint_summaries};
pub use lock::is_tailed;
pub use pipeline::{Error, tail};
pub use positions::Positions;
pub use progress::Progress;
pub use tail::Outcome;
