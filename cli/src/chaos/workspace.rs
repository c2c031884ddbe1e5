//! The directory of a run: made fresh, removed with everything in it, or kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use common::config::Config;

use crate::services;

/// Makes `DATA_DIR/chaos/seed-S`, or the first of `seed-S.2`, `seed-S.3` and so on that is not there.
pub(super) fn make(data_dir: &Path, seed: u64) -> anyhow::Result<PathBuf> {
    let all = data_dir.join("chaos");
    fs::create_dir_all(&all).with_context(|| format!("failed to create {}", all.display()))?;
    let mut name = format!("seed-{seed}");
    let mut number = 1;
    loop {
        let dir = all.join(&name);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                number += 1;
                name = format!("seed-{seed}.{number}");
            }
            made => {
                made.with_context(|| format!("failed to create {}", dir.display()))?;
                return fs::canonicalize(&dir).with_context(|| format!("failed to find {}", dir.display()));
            }
        }
    }
}

/// Removes the directory of a run whose services have ended; `config` is the run's.
pub(super) fn remove(config: &Config) -> anyhow::Result<()> {
    // The database of root may lie elsewhere, and only the sandbox knows.
    sandbox::remove(&services::options(config))?;
    let dir = &config.data_dir;
    fs::remove_dir_all(dir).with_context(|| format!("failed to remove {}", dir.display()))?;
    // Other runs may have left theirs beside it.
    let _ = dir.parent().map(fs::remove_dir);
    Ok(())
}
