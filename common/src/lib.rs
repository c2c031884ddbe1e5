#![doc = include_str!("../README.md")]

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
pub use report::{Exit, print_json, print_line, print_text};
pub use rows::RowSet;
pub use shutdown::Shutdown;
