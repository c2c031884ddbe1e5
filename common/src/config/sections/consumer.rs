use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Taking messages off the stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consumer {
    /// This replica's name in `batches`; the host's name and the process id by default.
    pub replica: Option<String>,
    /// Connections that write at the same time.
    pub writers: usize,
    /// After how long without an acknowledgement a message goes to another replica.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
    /// The most messages in flight to all replicas together.
    pub max_ack_pending: i64,
}

impl Default for Consumer {
    fn default() -> Self {
        Self { replica: None, writers: 2, ack_wait: Duration::from_secs(30), max_ack_pending: 100_000 }
    }
}
