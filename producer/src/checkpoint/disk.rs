//! For the store and the small files beside it: errors, and files that are written completely or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use common::fault;
use rusqlite::ErrorCode;

use crate::checkpoint::VERSION;
use crate::checkpoint::database::FORMAT;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to {doing} {}", path.display())]
    Store {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("{} is damaged: {what}; the producer moves it aside at its next start", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("{} has format {found}, and this version reads format {FORMAT}; run the version that wrote it", path.display())]
    Newer { path: PathBuf, found: i32 },
    #[error("{} is no checkpoint of version {VERSION}: {what}; move it away to read its file from the start", path.display())]
    Unreadable { path: PathBuf, what: String },
}

impl Error {
    /// For `map_err`: what was tried, with which store.
    pub(super) fn of(doing: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            let is_damaged = match &source {
                // A column has a value that was never written to it.
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..) => true,
                source => matches!(
                    source.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                ),
            };
            if is_damaged {
                Self::Damaged { path, what: source.to_string() }
            } else {
                Self::Store { doing, path, source }
            }
        }
    }
}

/// The file with the random number of a directory.
pub(super) const SOURCE_ID: &str = "source_id";
pub(super) const TEMPORARY: &str = ".tmp";

/// A random number that is made with the directory. It is not in the store, so that it survives if that is damaged.
pub(super) fn source_id(dir: &Path) -> Result<u64, Error> {
    let path = dir.join(SOURCE_ID);
    match fs::read_to_string(&path) {
        Ok(text) => u64::from_str_radix(text.trim(), 16).map_err(|error| Error::Unreadable {
            path,
            what: format!("\"{}\" is not a hexadecimal number ({error})", text.trim()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = uuid::Uuid::new_v4().as_u64_pair().0;
            replace(dir, SOURCE_ID, format!("{made:016x}\n").as_bytes())?;
            Ok(made)
        }
        Err(source) => Err(Error::Io { doing: "read", path, source }),
    }
}

/// Temporary file, fsync, rename, fsync of the directory: after a crash either the old or the new one is there.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}{TEMPORARY}"));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(io_error("write", &temporary))?;
    fault::point("before_checkpoint_rename");
    fs::rename(&temporary, &path).map_err(io_error("rename to", &path))?;
    fault::point("after_checkpoint_rename");
    sync(dir)
}

/// Syncs the directory.
pub(super) fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))
}

/// For `map_err`: what was tried, with what.
pub(super) fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}
