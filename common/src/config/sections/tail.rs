use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Reading files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tail {
    /// Where files land; `landing` in the data directory by default.
    pub landing_dir: Option<PathBuf>,
    /// Where finished files go; `archive` in the data directory by default.
    pub archive_dir: Option<PathBuf>,
    /// Where positions are kept; `checkpoints` in the data directory by default.
    pub checkpoint_dir: Option<PathBuf>,
    /// What becomes of a file whose every row is in the database.
    pub on_close: OnClose,
    /// How often the directory is looked through, besides file system notifications.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long a file must be quiet before its last line, and the file, count as finished.
    #[serde(with = "humantime_serde")]
    pub finish_after: Duration,
    /// How often positions are written to disk.
    #[serde(with = "humantime_serde")]
    pub checkpoint_every: Duration,
    /// The longest record, in bytes; a longer one is rejected.
    pub max_record_bytes: usize,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            landing_dir: None,
            archive_dir: None,
            checkpoint_dir: None,
            on_close: OnClose::Archive,
            poll: Duration::from_secs(1),
            finish_after: Duration::from_secs(2),
            checkpoint_every: Duration::from_millis(500),
            max_record_bytes: 256 << 10,
        }
    }
}

/// What becomes of a file whose every row is in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnClose {
    /// It moves to the archive directory.
    Archive,
    /// It stays where it is.
    Keep,
    /// It is deleted.
    Delete,
}
