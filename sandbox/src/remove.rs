//! Deletes what `start` made, and nothing else: every name is known.

use std::fs;
use std::io::ErrorKind::{DirectoryNotEmpty, NotADirectory, NotFound};
use std::path::Path;

use crate::error::failed;
use crate::log::Held;
use crate::state::{self, Ownership};
use crate::{Error, Options, cluster, nats, postgres};

/// Deletes what `start` made under the data directory. Refused while a process runs services there.
pub fn remove(options: &Options) -> Result<(), Error> {
    let dir = match fs::canonicalize(state::directory(&options.data_dir)) {
        Err(error) if error.kind() == NotFound => return Ok(()),
        found => found.map_err(failed("find", &options.data_dir))?,
    };
    // A directory of this name may be somebody else's.
    if !state::is_ours(&dir) {
        return Ok(());
    }
    let _ownership = Ownership::take(&dir)?;
    // Services of an owner that was killed may still be going down.
    let _nats = Held::take(nats::NAME, dir.join("nats.log"))?;
    let _postgres = Held::take(postgres::NAME, dir.join("postgres.log"))?;
    cluster::remove_elsewhere(&dir)?;
    delete(&dir.join(nats::STORE).join("jetstream"))?;
    remove_empty(&dir.join(nats::STORE))?;
    for name in [cluster::CLUSTER, postgres::PARTIAL, postgres::COPY] {
        // What is no cluster is somebody else's. One that lies elsewhere is a link here.
        let path = dir.join(name);
        if path.is_symlink() || name == postgres::PARTIAL || path.join("PG_VERSION").is_file() {
            delete(&path)?;
        }
    }
    for name in nats::LEFT.iter().chain(&postgres::LEFT).chain(&state::LEFT) {
        delete_file(&dir.join(name))?;
    }
    remove_empty(&dir)
}

/// Somebody may have put a file of their own there: then it stays.
fn remove_empty(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir(dir) {
        Err(error) if !matches!(error.kind(), DirectoryNotEmpty | NotADirectory | NotFound) => {
            Err(failed("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

fn delete_file(path: &Path) -> Result<(), Error> {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    if is_dir { Ok(()) } else { delete(path) }
}

fn delete(path: &Path) -> Result<(), Error> {
    let deleted = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == NotFound => Ok(()),
        Err(error) => Err(error),
    };
    deleted.map_err(failed("remove", path))
}
