use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one transaction holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// The most rows.
    pub rows: usize,
    /// The most bytes of rows, and of rows that wait to be written.
    pub bytes: usize,
    /// How long a batch waits to fill; by default a free writer takes what there is at once.
    #[serde(with = "humantime_serde")]
    pub linger: Option<Duration>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { rows: 5_000, bytes: 4 << 20, linger: None }
    }
}
