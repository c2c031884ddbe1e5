//! Detects a damaged store, which is cut, empty or overwritten with zeros, before it is used. It is renamed, and nothing of
//! it is deleted.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::checkpoint::database::{STORE, with_ending};
use crate::checkpoint::disk::{Error, io_error, sync};

/// The store and its log.
pub(super) const ALL: [&str; 3] = ["", "-wal", "-shm"];

/// Compares the `length` of a store that was closed cleanly with that of its pages.
pub(super) fn check_length(connection: &Connection, path: &Path, length: u64) -> Result<(), Error> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0));
    let pages = || Ok(number("page_count")? * number("page_size")?);
    let expected = pages().map_err(Error::of("check", path))?;
    let has_log = fs::metadata(with_ending(path, "-wal")).is_ok_and(|log| log.len() > 0);
    if has_log || length == expected {
        return Ok(());
    }
    Err(Error::Damaged {
        path: path.to_owned(),
        what: format!("it has {length} bytes instead of {expected}"),
    })
}

/// Reads every page and every row. It takes seconds for each 100,000 checkpoints.
pub(super) fn check_all(connection: &Connection, path: &Path) -> Result<(), Error> {
    let pages = || connection.query_row("pragma integrity_check(1)", [], |row| row.get::<_, String>(0));
    let rows = "select count(*) from checkpoint where not json_valid(body)";
    let unreadable = || connection.query_row(rows, [], |row| row.get::<_, i64>(0));
    let failed = Error::of("check", path);
    let what = match pages().map_err(&failed)? {
        found if found != "ok" => found,
        _ => match unreadable().map_err(&failed)? {
            0 => return Ok(()),
            count => format!("{count} checkpoints cannot be read"),
        },
    };
    Err(Error::Damaged { path: path.to_owned(), what })
}

/// Renames these files of the store in `dir` to the first free names. Returns the new name of the first that exists.
pub(super) fn move_aside(dir: &Path, endings: &[&str]) -> Result<Option<PathBuf>, Error> {
    let store = dir.join(STORE);
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    let moving: Vec<&str> =
        endings.iter().copied().filter(|ending| is_there(&with_ending(&store, ending))).collect();
    let Some(first) = moving.first() else { return Ok(None) };
    let mut number = 1;
    let aside = loop {
        let aside = dir.join(format!("{STORE}.damaged-{number}"));
        if !ALL.iter().any(|ending| is_there(&with_ending(&aside, ending))) {
            break aside;
        }
        number += 1;
    };
    for ending in &moving {
        let (from, to) = (with_ending(&store, ending), with_ending(&aside, ending));
        fs::rename(&from, &to).map_err(io_error("rename", &from))?;
    }
    sync(dir)?;
    Ok(Some(with_ending(&aside, first)))
}

#[cfg(test)]
mod tests;
