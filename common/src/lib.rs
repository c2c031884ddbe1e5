#![doc = include_str!("../README.md")]

pub mod config;
pub mod event;
pub mod health;
pub mod fault;
pub mod nats;
pub mod origin;
pub mod printable;
pub mod retry;
pub mod secrets;
pub mod stream;
pub mod telemetry;
pub mod wire;

mod clock;
mod problem;
mod report;
mod rows;
mod shutdown;

pub use clock::Clock;
pub use origin::{FileId, NoOrigin, Origin, Row};
pub use report::{Exit, print_json, print_line, print_text};
pub use retry::{Backoff, Classify, ErrorClass, Outage};
pub use rows::RowSet;
pub use shutdown::Shutdown;
