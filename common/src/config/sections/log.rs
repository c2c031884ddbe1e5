use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Logs: human lines or JSON on standard error, and rotated files where `dir` is set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Level or filter, as in `RUST_LOG`: `info`, `debug`, `warn,producer=debug`.
    pub level: String,
    /// `human` or `json`.
    pub format: LogFormat,
    /// Where to keep a log file a day; none by default.
    pub dir: Option<PathBuf>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human, dir: None }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}
