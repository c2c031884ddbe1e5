//! What the caller chooses; everything has a default that works but the data directory.

use std::env;
use std::path::{self, PathBuf};

use rustix::process::geteuid;

/// Where the services live and which programs to use.
#[derive(Clone, Debug)]
pub struct Options {
    /// State goes under `data_dir/sandbox`.
    pub data_dir: PathBuf,
    /// The nats-server program that the config names.
    pub nats_server: Option<PathBuf>,
    /// The directory with PostgreSQL's programs that the config names.
    pub postgres_bin: Option<PathBuf>,
    /// Where fetched programs are kept; by default the user's cache directory.
    pub cache_dir: Option<PathBuf>,
}

impl Options {
    /// Installed programs, or else fetched ones in the user's cache directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), nats_server: None, postgres_bin: None, cache_dir: None }
    }

    pub(crate) fn cache(&self) -> PathBuf {
        let cache = self.cache_dir.clone().unwrap_or_else(user_cache);
        // Services run in other directories than ours.
        path::absolute(&cache).unwrap_or(cache)
    }
}

/// Which of the two to start: an external URL replaces one.
#[derive(Clone, Copy, Debug)]
pub struct Services {
    /// Start a nats-server.
    pub nats: bool,
    /// Start a PostgreSQL.
    pub postgres: bool,
}

impl Services {
    /// A nats-server and a PostgreSQL.
    pub const BOTH: Self = Self { nats: true, postgres: true };
}

/// Root's own cache is no place: PostgreSQL runs as another user, who cannot enter `/root`.
fn user_cache() -> PathBuf {
    let named = |variable| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    if geteuid().is_root() {
        return PathBuf::from("/var/lib/millrace/cache");
    }
    let home = named("HOME").unwrap_or_else(env::temp_dir);
    if cfg!(target_os = "macos") {
        return home.join("Library/Caches/millrace");
    }
    named("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("millrace")
}
