//! Makes CSV files, and takes CSV files to the stream, each row once or again until it is acknowledged.
//!
//! A row passes these modules in order; `pipeline` wires them. `tail` finds files and reads complete records, with what
//! `file` knows of bytes and `csv` of records; `map` makes each a message; `publish` sends it and keeps it in flight until
//! the stream has acknowledged it; `checkpoint` keeps how far a file has come. When the consumer announces through
//! `closed` that every row is in a table, `archive` puts the file away. `generate` and `land` come before all that: they
//! make files where nobody else does.

pub mod generate;
mod land;

mod file;
mod csv;
mod map;
mod wake;
mod tail;
mod publish;
mod checkpoint;
mod closed;
mod archive;

mod stream_loss;
mod lock;
mod purge;
mod progress;
mod check;
pub mod rejects; // rejected rows on their way to a person and back
mod positions; // all of them forgotten
mod known; // what checkpoints tell, for those who only look
pub mod row_lookup; // one row of a file, read again
pub mod heal; // what the database lacks, published again
mod pipeline;

pub mod cli;

pub use known::{KnownFile, known_files};
pub use lock::is_tailed;
pub use map::{NAMESPACE, event_id};
pub use pipeline::{Error, tail};
pub use positions::Positions;
pub use progress::Progress;
pub use tail::Outcome;
