//! The sections of the configuration with their defaults. Durations are written like `500ms`, `2s`, `1m`.

mod log;
mod nats;
mod database;
mod stream;
mod tail;
mod publish;
mod events;
mod generate;
mod batch;
mod consumer;
mod shutdown;
mod health;
mod sandbox;

pub use self::consumer::Consumer;
pub use self::sandbox::Programs;
pub use batch::Batch;
pub use database::Database;
pub use events::{Events, UnknownColumns};
pub use generate::Generate;
pub use health::Health;
pub use log::{Log, LogFormat};
pub use nats::Nats;
pub use publish::Publish;
pub use shutdown::Stopping;
pub use stream::Stream;
pub use tail::{OnClose, Tail};
