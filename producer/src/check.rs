//! `producer check`: what would become of a file, without sending anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::FileId;
use common::config::Config;

use crate::checkpoint::Reader;
use crate::file::Position;
use crate::file::compressed::UNFINISHED;
use crate::file::links::Link;
use crate::file_reader::{FileReader, NewFile, NoHeader, Row, RowFormat};
use crate::map::{MappedFile, Mapping, MappingRules, MaxPayload, Unmappable};

/// How many rejected rows are told.
const EXAMPLES: usize = 5;
/// Messages need one, and none is sent.
const FILE_ID: i64 = 1;

#[derive(Debug)]
pub(crate) struct Checked {
    pub path: PathBuf,
    pub source: String,
    /// The event's column and the file's column that fills it.
    pub columns: Vec<(String, String)>,
    /// The file's columns that go to `attributes`.
    pub attributes: Vec<String>,
    pub rows: i64,
    /// How many of them are no events.
    pub rejected: i64,
    /// The first of those: their number and what is wrong.
    pub examples: Vec<(i64, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {why}", path.display())]
    Parked { path: PathBuf, why: String },
}

/// Reads and maps the whole of a file.
pub(crate) fn check(config: &Config, path: &Path) -> Result<Checked, Error> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        let link = Link::of(path, |_| true);
        if link.is_refused() {
            return Err(Error::Parked { path: path.to_owned(), why: link.why() });
        }
    }
    let mut examples = Vec::new();
    let (mapping, reached) = read(config, path, |Row { position, message }| {
        if let Some((_, why)) = message.rejected.filter(|_| examples.len() < EXAMPLES) {
            examples.push((position.row, why));
        }
    })?;
    let name = |field: &usize| mapping.header.get(*field).cloned().unwrap_or_default();
    Ok(Checked {
        path: path.to_owned(),
        source: mapping.source.clone(),
        columns: mapping.columns.iter().map(|(column, field)| (column.clone(), name(field))).collect(),
        attributes: mapping.attributes.iter().map(name).collect(),
        rows: reached.row,
        rejected: reached.rejected,
        examples,
    })
}

/// Reads and maps the whole of a file as the tailer would, and hands `each` row on. Returns the mapping and the file's
/// counts.
pub(crate) fn read(
    config: &Config,
    path: &Path,
    mut each: impl FnMut(Row),
) -> Result<(Arc<Mapping>, Position), Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let parked = |why: String| Error::Parked { path: path.to_owned(), why };
    let rules = MappingRules::new(config, MaxPayload::DEFAULT);
    let (mut file, opened) =
        fs::canonicalize(path).and_then(|real| NewFile::open(&rules, path, &real)).map_err(read)?;
    let head = file.read_head().map_err(|error| match error {
        NoHeader::Read(error) => read(error),
        NoHeader::Unusable(why) => parked(why),
    })?;
    let original = file.original(&head).and_then(|file| {
        let reader = Reader::open(&config.checkpoint_dir()).ok()??;
        reader.rows().of_file(file).ok()?.map(MappedFile::from)
    });
    let mapping = file.mapping(&rules, &head, original).map_err(|Unmappable(why)| parked(why))?;
    let mapping = Arc::new(mapping);
    let (buffer, start) = file.into_rows(&head);
    let format = RowFormat {
        file_id: FileId::from(FILE_ID),
        mapping: Arc::clone(&mapping),
        limits: rules.limits(),
        forced_ends: Vec::new(),
    };
    let mut reader = FileReader::new(format, start, buffer);
    reader.written_us = opened.written_us;
    while let Some(row) = reader.next_row().map_err(read)? {
        each(row);
    }
    if reader.is_unfinished() {
        return Err(parked(UNFINISHED.to_owned()));
    }
    Ok((mapping, reader.position()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_links_stay_inside_also_when_a_file_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let link = |name: &str, target: &str| {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
            check(&Config::default(), &dir.path().join(name)).map(|checked| checked.rows)
        };
        fs::write(dir.path().join("a.csv"), "event,time\nview,2024-01-01 00:00:00\n").unwrap();
        assert_eq!(link("b.csv", "a.csv").unwrap(), 1);
        let error = link("c.csv", "/proc/self/environ").unwrap_err().to_string();
        assert!(error.contains("c.csv: is a symbolic link that leaves its directory"), "{error}");
        assert!(link("d.csv", "e.csv").is_err());
    }

    #[test]
    fn a_file_is_checked_without_sending_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "event,time,note\nview,2024-01-01 00:00:00,x\nview,soon,y\n").unwrap();
        let checked = check(&Config::default(), &path).unwrap();
        assert_eq!((checked.rows, checked.rejected, checked.attributes), (2, 1, vec!["note".to_owned()]));
        assert_eq!(checked.examples[0].0, 2);
        assert!(checked.examples[0].1.contains("\"soon\" is no time"));
    }
}
