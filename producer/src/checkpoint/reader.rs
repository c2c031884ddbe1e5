//! Reads checkpoints: for the tailer those that are not in memory, for commands all of them, also beside a running tailer.
//! Nothing is written, and nothing is made.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::checkpoint::database::{self, STORE, check_format, with_ending};
use crate::checkpoint::disk::{Error, io_error};
use crate::checkpoint::rows::{Mappings, Rows, TABLES};
use crate::checkpoint::takeover;

#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
    mappings: Mappings,
}

impl Reader {
    /// `None` where there is no such directory.
    pub fn open(dir: &Path) -> Result<Option<Self>, Error> {
        if !dir.try_exists().map_err(io_error("examine", dir))? {
            return Ok(None);
        }
        let path = dir.join(STORE);
        if path.try_exists().map_err(io_error("examine", &path))? {
            return Self::of_store(dir).map(Some);
        }
        // Those of the version before, which no tailer has imported yet.
        let older = takeover::load(dir)?;
        let read = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch(TABLES)?;
            older.iter().try_for_each(|change| database::write(&connection, change))?;
            Ok(connection)
        };
        let connection = read().map_err(Error::of("read", dir))?;
        Ok(Some(Self { path, connection, mappings: Mappings::default() }))
    }

    /// Reads the store that is in `dir`.
    pub(super) fn of_store(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(STORE);
        let is_there = |ending| with_ending(&path, ending).exists();
        let mut address = "file:".to_owned();
        for byte in std::path::absolute(&path).map_err(io_error("find", &path))?.as_os_str().as_bytes() {
            let _ = match byte {
                b'/' | b'.' | b'-' | b'_' => write!(address, "{}", char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => write!(address, "{}", char::from(*byte)),
                byte => write!(address, "%{byte:02x}"),
            };
        }
        // While the store is open for writing, both exist. Without them, SQLite does not have to make them to read.
        address += if is_there("-wal") || is_there("-shm") { "?mode=ro" } else { "?immutable=1" };
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&address, flags)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(connection)
        };
        let connection = open().map_err(Error::of("open", &path))?;
        check_format(&connection, &path)?;
        Ok(Self { path, connection, mappings: Mappings::default() })
    }

    /// Gives access to single checkpoints.
    pub fn rows(&self) -> Rows<'_> {
        Rows { connection: &self.connection, mappings: &self.mappings, path: &self.path }
    }
}
