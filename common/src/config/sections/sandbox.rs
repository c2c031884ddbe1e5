use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The programs of the private services; found or fetched where unset.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Programs {
    /// The nats-server program.
    pub nats_server: Option<PathBuf>,
    /// The directory of PostgreSQL's programs.
    pub postgres_bin: Option<PathBuf>,
    /// Where fetched programs are unpacked.
    pub cache_dir: Option<PathBuf>,
}
