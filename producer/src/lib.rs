#![doc = include_str!("../README.md")]

pub mod generate;
pub mod land; // finished files -> a directory

pub mod file;
pub mod csv;
pub mod map;
pub mod file_reader;
mod tailer_message;
mod tail;
mod publish;
pub mod checkpoint;
mod closed;
mod unread;
mod archive;

mod stream_loss;
mod lock;
mod rebuild; // files whose checkpoints were lost
mod purge;
mod progress;
pub mod check;
mod positions; // deleted for --fresh
pub mod heal; // publishes again what the database lacks
mod pipeline;

pub mod cli;

pub use checkpoint::{CheckpointSummary, checkpoint_summaries};
pub use lock::is_tailed;
pub use pipeline::{Error, tail};
pub use positions::Positions;
pub use progress::Progress;
pub use tail::Outcome;
