//! Checks whether an edited file can be sent: each of its rows needs the origin of the rejected row that it replaces.

use std::path::{Path, PathBuf};

use common::NoOrigin;
use common::config::Config;
use common::event::ORIGIN_COLUMN;
use common::wire::RejectMessage;

use crate::check::{self, WholeFile};
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file_reader::Row;
use crate::map::{delimiter_of_edited, origin_of};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] check::Error),
    #[error(
        "{}: its first column is not {ORIGIN_COLUMN}; write the rejected rows with `millrace rejects export DIR`, and \
         keep that column",
        path.display()
    )]
    NotEdited { path: PathBuf },
    #[error("{}: there are no rows in it", path.display())]
    Empty { path: PathBuf },
    #[error(
        "{} row {row}, column {ORIGIN_COLUMN}: {origin}; write there what `millrace rejects export` has written{}",
        path.display(),
        if *more == 0 { String::new() } else { format!(", and in {more} more rows") }
    )]
    BadOrigin { path: PathBuf, row: i64, origin: NoOrigin, more: usize },
}

/// The number of rows of the edited file at `path`, if all of them can be sent.
pub fn check(config: &Config, path: &Path) -> Result<i64, Error> {
    let read = |source| check::Error::Read { path: path.to_owned(), source };
    let open = |path: PathBuf| Buffer::open(&path, &Position::default());
    let (mut beginning, _) = std::fs::canonicalize(path).and_then(open).map_err(read)?;
    beginning.fill().map_err(read)?;
    let Some(delimiter) = delimiter_of_edited(beginning.rest()) else {
        return Err(Error::NotEdited { path: path.to_owned() });
    };
    let mut wrong = Vec::new();
    let WholeFile { end: reached, .. } = check::read(config, path, |Row { position, message }| {
        if message.rejected.is_none() {
            return;
        }
        let Ok(reject) = serde_json::from_slice::<RejectMessage>(&message.payload) else { return };
        if let Err(origin) = origin_of(&reject.raw.0, delimiter) {
            wrong.push((position.row, origin));
        }
    })?;
    let more = wrong.len().saturating_sub(1);
    match wrong.into_iter().next() {
        Some((row, origin)) => Err(Error::BadOrigin { path: path.to_owned(), row, origin, more }),
        None if reached.row == 0 => Err(Error::Empty { path: path.to_owned() }),
        None => Ok(reached.row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<i64, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
        check(&config, &path).map_err(|error| error.to_string())
    }

    #[test]
    fn each_row_needs_the_origin_of_the_row_that_it_replaces() {
        let header = "millrace_origin;event;time\r\n";
        assert_eq!(checked(&format!("\u{feff}{header}7:1;view;2024-01-01 00:00:00\r\n7:2;few\r\n")), Ok(2));
        let error = checked(&format!("{header}7:1;view;soon\nx;view;soon\n;few\n")).unwrap_err();
        assert!(error.contains("row 2, column millrace_origin: \"x\" is no origin"), "{error}");
        assert!(error.ends_with("and in 1 more rows"), "{error}");
        assert!(checked(header).unwrap_err().ends_with("there are no rows in it"));
        assert!(
            checked("event,time\nview,2024-01-01 00:00:00\n")
                .unwrap_err()
                .contains("its first column is not")
        );
        assert!(checked("millrace_origin,what\n7:1,x\n").unwrap_err().contains("no column for event_type"));
    }
}
