//! Takes messages off the stream and puts them into PostgreSQL, each once.
//!
//! fetch -> decode -> batch -> write -> ack, wired in `pipeline`. Rows enter as messages and leave as `Committed`;
//! beside that path, `close` tells the tailer which files are complete. Every other part of the crate serves one of
//! these: `connect` and `migrate` the database, `progress` and `account` whoever watches.

mod connect; // a URL    -> a connection that keeps the promises
mod migrate; // an empty database -> the schema
mod outage; // a line when trouble begins, and one when it ends
mod verdict; // what a database error means

mod fetch; // messages off the durable
mod decode; // Message  -> Delivery
mod batch; // Delivery -> Batch
mod write; // Batch    -> Committed
mod ack; // Committed -> nothing left to do
mod close; // files whose law holds
mod pipeline;

pub mod account;
mod counts;
mod progress;

pub mod cli;

pub use connect::Error as ConnectError;
pub use counts::Counts;
pub use migrate::{Error as MigrateError, migrate};
pub use pipeline::{Error, run};
pub use progress::Progress;
