//! The flags of the producer's commands, and the settings that they are.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use common::config::Flags;

/// Flags of the generator.
#[derive(Clone, Debug, Default, Args)]
pub struct Generate {
    /// Rows a second; without it a file comes every --interval, or as fast as possible with --count or --files.
    #[arg(long, value_name = "N")]
    pub events_per_second: Option<f64>,
    /// End after this time, such as 30s.
    #[arg(long, value_name = "TIME")]
    pub duration: Option<humantime::Duration>,
    /// End after so many rows.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Rows a file.
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
    /// End after so many files.
    #[arg(long, value_name = "N")]
    pub files: Option<u64>,
    /// The pause between files.
    #[arg(long, value_name = "TIME")]
    pub interval: Option<humantime::Duration>,
    /// The fewest rows a file, where --batch-size is not given.
    #[arg(long, value_name = "N")]
    pub min_events: Option<u64>,
    /// The most rows a file, where --batch-size is not given.
    #[arg(long, value_name = "N")]
    pub max_events: Option<u64>,
    /// Where files land [default: the landing directory].
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
    /// The same seed and --start-time write the same bytes.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The time of the first event, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub start_time: Option<DateTime<Utc>>,
    /// The share of rows that are spoilt, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub dirty_rate: Option<f64>,
    /// The share of rows that repeat an earlier one, from 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub duplicate_rate: Option<f64>,
}

impl Generate {
    /// As settings.
    pub(super) fn flags(&self, flags: &mut Flags) {
        let time = |time: Option<humantime::Duration>| time.map(|time| time.to_string());
        flags.set("generate.events_per_second", "--events-per-second", self.events_per_second);
        flags.set("generate.duration", "--duration", time(self.duration));
        flags.set("generate.count", "--count", self.count);
        flags.set("generate.batch_size", "--batch-size", self.batch_size);
        flags.set("generate.files", "--files", self.files);
        flags.set("generate.interval", "--interval", time(self.interval));
        flags.set("generate.min_events", "--min-events", self.min_events);
        flags.set("generate.max_events", "--max-events", self.max_events);
        flags.set("generate.seed", "--seed", self.seed);
        flags.set("generate.start_time", "--start-time", self.start_time);
        flags.set("generate.dirty_rate", "--dirty-rate", self.dirty_rate);
        flags.set("generate.duplicate_rate", "--duplicate-rate", self.duplicate_rate);
        flags.set("tail.landing_dir", "--out-dir", self.out_dir.as_ref());
    }
}

/// Flags of the tailer.
#[derive(Clone, Debug, Default, Args)]
pub struct Tail {
    /// Read this directory [default: the landing directory].
    #[arg(long, value_name = "DIR")]
    pub input: Option<PathBuf>,
    /// End when every file that is there is in the table.
    #[arg(long)]
    pub once: bool,
}

impl Tail {
    pub(super) fn flags(&self, flags: &mut Flags) {
        flags.set("tail.landing_dir", "--input", self.input.as_ref());
    }
}
