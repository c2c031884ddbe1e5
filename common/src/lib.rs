//! What the producer and the consumer must agree on, and what every process needs to start and stop well.
//!
//! One event crosses these modules in this order: `event` says what an event is, `origin` where it came from,
//! `wire` how both travel in a message, `stream` where messages are kept. There is no CSV and no SQL here.

pub mod config;
pub mod event;
pub mod health;
pub mod fault;
pub mod nats;
pub mod origin;
pub mod printable;
pub mod secrets;
pub mod stream;
pub mod telemetry;
pub mod wire;

mod backoff;
mod clock;
mod outage;
mod problem;
mod ready;
mod report;
mod rows;
mod shutdown;

pub use backoff::Backoff;
pub use clock::Clock;
pub use origin::{FileId, NoOrigin, Origin, Row};
pub use outage::Outage;
pub use ready::{Passing, until_ready};
pub use report::{Exit, say, say_json, say_line};
pub use rows::RowSet;
pub use shutdown::Shutdown;
