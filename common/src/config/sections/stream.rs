use serde::{Deserialize, Serialize};

/// The stream `EVENTS`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// The most bytes that it holds; when it is full the tailer waits. Must fit the broker's disk.
    pub max_bytes: i64,
    /// Above this share of `max_bytes` the oldest messages that everyone has read are purged.
    pub high_water: f64,
    /// Copies that a NATS cluster keeps.
    pub replicas: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self { max_bytes: 2 << 30, high_water: 0.8, replicas: 1 }
    }
}
