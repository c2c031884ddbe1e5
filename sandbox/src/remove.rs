//! Deletes what `start` made, and nothing else: every name is known.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::failed;
use crate::log::Held;
use crate::state::{self, Ownership};
use crate::{Error, Options, cluster, nats, postgres};

/// Deletes what `start` made under the data directory. Refused while a process runs services there.
pub fn remove(options: &Options) -> Result<(), Error> {
    let dir = match fs::canonicalize(state::directory(&options.data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed("find", &options.data_dir))?,
    };
    let _ownership = Ownership::take(&dir)?;
    // Services of an owner that was killed may still be going down.
    let _nats = Held::take(nats::NAME, dir.join("nats.log"))?;
    let _postgres = Held::take(postgres::NAME, dir.join("postgres.log"))?;
    cluster::remove_elsewhere(&dir)?;
    for name in nats::LEFT.iter().chain(&postgres::LEFT).chain(&state::LEFT) {
        delete(&dir.join(name))?;
    }
    match fs::remove_dir(&dir) {
        // Somebody put a file of their own there: it stays.
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

fn delete(path: &Path) -> Result<(), Error> {
    let deleted = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    deleted.map_err(failed("remove", path))
}
