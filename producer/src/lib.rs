//! Makes CSV files, and takes CSV files to the stream, each row once or again until it is acknowledged.
//!
//! A row passes these modules in order; `pipeline` wires them. `tail` finds files and reads complete records, `map`
//! makes each a message, `publish` sends it and `window` remembers it until the stream has it, `checkpoint` keeps how
//! far a file has come. When the consumer says through `closed` that every row is in a table, `archive` puts the file
//! away. `generate` and `land` come before all that: they make files where nobody else does.

pub mod generate;
mod land;

mod tail;
mod map;
mod publish;
mod window;
mod checkpoint;
mod closed;
mod archive;

mod loss;
mod lock;
mod purge;
mod progress;
mod check;
mod pipeline;

pub mod cli;

pub use map::NAMESPACE;
pub use pipeline::{Error, tail};
pub use progress::Progress;
pub use tail::Outcome;
