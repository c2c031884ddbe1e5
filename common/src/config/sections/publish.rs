use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Publishing rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// How many messages may wait for their acknowledgement at once.
    pub window: usize,
    /// After how long without one a message is sent again.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
}

impl Default for Publish {
    fn default() -> Self {
        Self { window: 1000, ack_timeout: Duration::from_secs(5) }
    }
}
