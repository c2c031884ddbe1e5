//! The limits that decide which rows a file has: what is beyond them is a reject.

use serde::{Deserialize, Serialize};

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of a record, which is `tail.max_record_bytes`.
    pub max_record_bytes: usize,
    /// Of a message, which is the broker's `max_payload`.
    pub max_payload: usize,
}

/// The largest message that the broker takes.
#[derive(Clone, Debug)]
pub enum MaxPayload {
    /// That of the server to which this client is connected, or was last; it may come back with another limit.
    Of(async_nats::Client),
    /// In bytes.
    Is(usize),
}

impl MaxPayload {
    /// nats-server's own default, for where no broker is asked.
    pub const DEFAULT: Self = Self::Is(1 << 20);

    /// What it is now.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Of(client) => client.server_info().max_payload,
            Self::Is(bytes) => *bytes,
        }
    }
}
