//! Takes messages off the stream and puts them into PostgreSQL, each once.
//!
//! fetch -> decode -> batch -> write -> ack, wired in `pipeline`. Rows enter as messages and leave as `Committed`;
//! beside that path, `close` tells the tailer which files are complete. Every other part of the crate serves one of
//! these: `connect`, `session` and `migrate` the database, `progress` and `account` whoever watches.

mod connect; // a URL    -> a connection that keeps the promises
mod session; // a connection, and whether the server still knows it
mod migrate; // an empty database -> the schema
mod verdict; // what a database error means
mod backoff; // pauses between tries
mod going_back; // a database that has lost what it committed

mod fetch; // messages off the durable
mod decode; // Message  -> Delivery
mod batch; // Delivery -> Batch
mod write; // Batch    -> Committed
mod ack; // Committed -> nothing left to do
mod close; // files whose law holds
mod handover; // whether batching moves on
mod pipeline;
mod replay; // the stream once more

pub mod account;
pub mod verify; // which rows are in the tables
pub mod explain; // the life of one row
pub mod heal; // sums of files, brought to what the tables hold
pub mod replicas; // who shares the work
pub mod commits; // when rows were committed, for those who wait for it
pub mod row_outcomes; // what became of each row
pub mod rejects; // rejected rows, for people who mend them
mod counts;
mod progress;

pub mod cli;

pub use connect::{Error as ConnectError, reach};
pub use counts::Counts;
pub use going_back::{Error as GoneBack, WhenGoneBack};
pub use migrate::{Error as MigrateError, migrate};
pub use pipeline::{Error, run};
pub use progress::Progress;
