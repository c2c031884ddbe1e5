use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Ending.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stopping {
    /// How long draining may take after the first signal.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { grace: Duration::from_secs(20) }
    }
}
