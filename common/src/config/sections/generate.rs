use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Making files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generate {
    /// Whether `producer run` makes files besides tailing them.
    pub enabled: bool,
    /// The pace; unset, files come by `interval`, or as fast as they can where `count` or `files` is set.
    pub events_per_second: Option<f64>,
    /// When to end, by the clock.
    #[serde(with = "humantime_serde")]
    pub duration: Option<Duration>,
    /// When to end, by rows.
    pub count: Option<u64>,
    /// When to end, by files.
    pub files: Option<u64>,
    /// Rows a file; by default a number from `min_events` to `max_events`.
    pub batch_size: Option<u64>,
    /// The fewest rows a file.
    pub min_events: u64,
    /// The most rows a file.
    pub max_events: u64,
    /// The pause between files.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// What the random choices start from: the same seed and `start_time` write the same bytes.
    pub seed: Option<u64>,
    /// The time of the first event; now by default.
    pub start_time: Option<DateTime<Utc>>,
    /// The share of rows that are spoilt, from 0 to 1.
    pub dirty_rate: f64,
    /// The share of rows that repeat an earlier one, from 0 to 1.
    pub duplicate_rate: f64,
    /// How many visitors there are.
    pub visitors: u64,
    /// How many products there are.
    pub products: u64,
}

impl Default for Generate {
    fn default() -> Self {
        Self {
            enabled: true,
            events_per_second: None,
            duration: None,
            count: None,
            files: None,
            batch_size: None,
            min_events: 100,
            max_events: 1500,
            interval: Duration::from_secs(15),
            seed: None,
            start_time: None,
            dirty_rate: 0.0,
            duplicate_rate: 0.0,
            visitors: 1000,
            products: 500,
        }
    }
}
