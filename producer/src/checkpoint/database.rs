//! The file of the store: an SQLite database with a write-ahead log. It is made under another name, and all changes of one
//! moment are one transaction.
//!
//! One connection writes, that of the tailer that has locked the directory. Others may read at the same time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{FileId, fault};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::checkpoint::disk::{Error, TEMPORARY, io_error, sync};
use crate::checkpoint::rows::{self, TABLES};
use crate::checkpoint::{Announced, Checkpoint, SentPosition, damage};
use crate::file::identity::hash;

pub(super) const STORE: &str = "checkpoints.db";
/// What SQLite appends to the names of the log, and of the index of the log.
pub(super) const LOG_ENDINGS: [&str; 2] = ["-wal", "-shm"];
/// In the file's header, so that no other program's database is used as a store.
pub(super) const APPLICATION_ID: i32 = 0x4d69_6c6c;
/// The version of the tables; a newer one is refused.
pub(super) const FORMAT: i32 = 1;

/// For how long a command that only reads may lock the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// The boot of the machine in which the store is used; 0 after it was closed cleanly.
const USED_IN: &str = "used_in";
const FIRST_INCARNATION: &str = "first_incarnation";
const IS_RECOVERED: &str = "is_recovered";

/// Below this number are the incarnations of a store that was never lost.
pub(crate) const KNOWN_INCARNATIONS: u32 = 1 << 16;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
}

/// Of all files of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// The first incarnation of an inode. It is not 0 if an earlier store was lost, so that no file gets the id of another
    /// one whose checkpoint was lost.
    pub first_incarnation: u32,
    /// False until what the stream has of files whose checkpoints were lost is in the store.
    pub is_recovered: bool,
}

impl Settings {
    /// Of a store that replaces a lost one. Its incarnations begin beyond those that the lost one may have used.
    pub(super) fn of_rebuilt() -> Self {
        let random = uuid::Uuid::new_v4().as_u64_pair().0;
        let first_incarnation = u32::try_from(random >> 33).unwrap_or_default() | KNOWN_INCARNATIONS;
        Self { first_incarnation, is_recovered: false }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { first_incarnation: 0, is_recovered: true }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Change {
    pub file: FileId,
    pub checkpoint: Option<Checkpoint>,
    pub sent: Option<SentPosition>,
}

/// What a committed transaction has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survives {
    /// The end of the process.
    Process,
    /// A power failure too: one fsync.
    Machine,
}

/// Makes a store in `dir`. It is renamed to its name after it was synced.
pub(super) fn create(dir: &Path, settings: Settings, known: &[Change]) -> Result<(), Error> {
    let (path, temporary) = (dir.join(STORE), dir.join(format!("{STORE}{TEMPORARY}")));
    // Of a process that was killed.
    let _ = fs::remove_file(&temporary);
    let make = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(&temporary)?;
        // It is not used before it is renamed, so one sync at the end is enough.
        connection.pragma_update(None, "synchronous", "off")?;
        connection.pragma_update(None, "journal_mode", "memory")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        set(&transaction, FIRST_INCARNATION, settings.first_incarnation.into())?;
        set(&transaction, IS_RECOVERED, settings.is_recovered.into())?;
        known.iter().try_for_each(|change| write(&transaction, change))?;
        transaction.commit()?;
        connection.pragma_update(None, "journal_mode", "wal")
    };
    make().map_err(Error::of("make", &temporary))?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(io_error("sync", &temporary))?;
    // The log of a deleted store would be read as this one's.
    damage::move_aside(dir, &LOG_ENDINGS)?;
    fault::point("before_checkpoint_rename");
    fs::rename(&temporary, &path).map_err(io_error("rename to", &path))?;
    fault::point("after_checkpoint_rename");
    sync(dir)
}

impl Database {
    /// Opens the store for writing, and checks it: all of it, if the machine was not shut down cleanly.
    pub(super) fn open(dir: &Path) -> Result<(Self, Settings), Error> {
        let path = dir.join(STORE);
        let length = fs::metadata(&path).map_err(io_error("examine", &path))?.len();
        if length == 0 {
            return Err(Error::Damaged { path, what: "it is empty".to_owned() });
        }
        let failed = Error::of("open", &path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(&failed)?;
        connection.busy_timeout(PATIENCE).map_err(&failed)?;
        check_format(&connection, &path)?;
        let used_in = get(&connection, USED_IN).map_err(&failed)?;
        match used_in {
            0 => damage::check_length(&connection, &path, length)?,
            // A process that is killed leaves no torn pages.
            same if same == boot() => {}
            _ => damage::check_all(&connection, &path)?,
        }
        let settings = Settings {
            first_incarnation: u32::try_from(get(&connection, FIRST_INCARNATION).map_err(&failed)?)
                .unwrap_or(u32::MAX),
            is_recovered: get(&connection, IS_RECOVERED).map_err(&failed)? == 1,
        };
        let prepare = || -> rusqlite::Result<()> {
            // The log is kept, so that commands that only read do not have to make it.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            // On disk with the first change that has to be.
            connection.pragma_update(None, "synchronous", "normal")?;
            set(&connection, USED_IN, boot())
        };
        prepare().map_err(&failed)?;
        drop(failed);
        Ok((Self { path, connection }, settings))
    }

    /// Writes all changes, or none.
    pub(super) fn write(&mut self, changes: &[Change], survives: Survives) -> Result<(), Error> {
        let synchronous = match survives {
            Survives::Process => "normal",
            Survives::Machine => "full",
        };
        let mut written = || -> rusqlite::Result<()> {
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            let transaction = self.connection.transaction()?;
            changes.iter().try_for_each(|change| write(&transaction, change))?;
            if survives == Survives::Machine {
                fault::point("before_checkpoint_commit");
            }
            transaction.commit()?;
            if survives == Survives::Machine {
                fault::point("after_checkpoint_commit");
            }
            Ok(())
        };
        written().map_err(Error::of("write", &self.path))
    }

    /// Stores what the stream has of files whose checkpoints were lost.
    pub(super) fn recovered(&mut self, announced: &[Announced]) -> Result<(), Error> {
        let mut write = || -> rusqlite::Result<()> {
            self.connection.pragma_update(None, "synchronous", "full")?;
            let transaction = self.connection.transaction()?;
            announced.iter().try_for_each(|one| rows::put_announced(&transaction, one))?;
            set(&transaction, IS_RECOVERED, 1)?;
            transaction.commit()
        };
        write().map_err(Error::of("write", &self.path))
    }

    /// Closes the store cleanly: its log is empty, and the next start does not have to check it.
    pub(super) fn end(&self) -> Result<(), Error> {
        let end = || -> rusqlite::Result<()> {
            self.connection.pragma_update(None, "synchronous", "full")?;
            set(&self.connection, USED_IN, 0)?;
            // While a command still reads, the log is not emptied.
            self.connection.busy_timeout(Duration::ZERO)?;
            self.connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
        };
        end().map_err(Error::of("write", &self.path))
    }
}

/// A number that is different after each boot of the machine; 1 if the system does not have one.
fn boot() -> i64 {
    let id = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.is_empty() { 1 } else { hash(&id).cast_signed() }
}

/// Fails if it is not a store, or one of a newer version.
pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<(), Error> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let failed = Error::of("read", path);
    if number("application_id").map_err(&failed)? != APPLICATION_ID {
        let what = "it is another program's database".to_owned();
        return Err(Error::Unreadable { path: path.to_owned(), what });
    }
    match number("user_version").map_err(&failed)? {
        FORMAT => Ok(()),
        found => Err(Error::Newer { path: path.to_owned(), found }),
    }
}

/// `PATH-wal` for `PATH`.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(super) fn write(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    if let Some(checkpoint) = &change.checkpoint {
        rows::put(connection, checkpoint)?;
    }
    change.sent.as_ref().map_or(Ok(()), |sent| rows::put_sent(connection, change.file, sent))
}

fn set(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection.execute("insert or replace into setting values (?1, ?2)", (name, value)).map(drop)
}

fn get(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let value = connection.query_row("select value from setting where name = ?1", [name], |row| row.get(0));
    Ok(value.optional()?.unwrap_or_default())
}
