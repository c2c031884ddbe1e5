//! Checks whether an edited file can be sent: each of its rows needs the origin of the rejected row that it replaces.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use common::config::Config;
use common::event::ORIGIN_COLUMN;
use common::wire::RejectMessage;
use producer::check;
use producer::file::read_span;
use producer::file_reader::Row;
use producer::map::{delimiter_of_edited, origin_of};

/// Bytes that hold the first column's name and the delimiter behind it.
const BEGINNING: usize = 64;

/// The number of rows of the edited file at `path`, if all of them can be sent.
pub(super) fn check(config: &Config, path: &Path) -> anyhow::Result<i64> {
    let name = path.display();
    let beginning = fs::canonicalize(path).and_then(|path| read_span(&path, 0, BEGINNING));
    let beginning = beginning.with_context(|| format!("failed to read {name}"))?;
    let Some(delimiter) = delimiter_of_edited(&beginning) else {
        bail!(
            "{name}: its first column is not {ORIGIN_COLUMN}; write the rejected rows with `millrace rejects export DIR`, \
             and keep that column"
        );
    };
    let mut wrong = Vec::new();
    let file = check::read(config, path, |Row { position, message }| {
        if message.rejected.is_none() {
            return;
        }
        let Ok(reject) = serde_json::from_slice::<RejectMessage>(&message.payload) else { return };
        if let Err(origin) = origin_of(&reject.raw.0, delimiter) {
            wrong.push((position.row, origin));
        }
    })?;
    if let [(row, origin), more @ ..] = &wrong[..] {
        let more = if more.is_empty() { String::new() } else { format!(", and in {} more rows", more.len()) };
        bail!(
            "{name} row {row}, column {ORIGIN_COLUMN}: {origin}; write there what `millrace rejects export` has \
             written{more}"
        );
    }
    if file.end.row == 0 {
        bail!("{name}: there are no rows in it");
    }
    Ok(file.end.row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<i64, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, text).unwrap();
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
