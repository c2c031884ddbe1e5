//! Reads and maps a file without sending anything, for `producer check` and for `rejects retry`.

pub(crate) mod event_ids;

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::FileId;
use common::config::Config;

use crate::checkpoint::Reader;
use crate::file::Position;
use crate::file::compressed::UNFINISHED;
use crate::file::identity::hash;
use crate::file::links::Link;
use crate::file_reader::{FileReader, NewFile, NoHeader, Row, RowFormat};
use crate::map::{MappedFile, Mapping, MappingRules, MaxPayload, Unmappable, renamed};
use event_ids::{Duplicates, EventIds};

/// How many rejected rows are printed.
const EXAMPLES: usize = 5;

/// What would become of a file.
#[derive(Debug)]
pub(crate) struct Checked {
    pub path: PathBuf,
    pub source: String,
    /// The event's column and the file's column that fills it.
    pub columns: Vec<(String, String)>,
    /// The file's columns that go to `attributes`.
    pub attributes: Vec<String>,
    pub rows: i64,
    /// How many of them are rejected.
    pub rejected: i64,
    /// The first of those: row numbers and reasons.
    pub examples: Vec<(i64, String)>,
    /// Rows with the id of an earlier one, here or in a file that was checked before.
    pub duplicates: Duplicates,
    /// A sentence about columns that have no name of their own.
    pub renamed: Option<String>,
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
pub(crate) fn check(config: &Config, path: &Path, ids: &mut EventIds) -> Result<Checked, Error> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        let link = Link::of(path, |_| true);
        if link.is_refused() {
            return Err(Error::Parked { path: path.to_owned(), why: link.why() });
        }
    }
    let (mut examples, mut duplicates) = (Vec::new(), Duplicates::default());
    let WholeFile { mapping, header, end } = read(config, path, |Row { position, message }| {
        ids.add(&message, &mut duplicates);
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
        rows: end.row,
        rejected: end.rejected,
        examples,
        duplicates,
        renamed: renamed(&header, &mapping.header),
    })
}

/// A file that was read to its end.
pub struct WholeFile {
    pub(crate) mapping: Arc<Mapping>,
    /// As it stands in the file.
    pub(crate) header: Vec<String>,
    /// Behind the last row, with the counts of rows.
    pub end: Position,
}

/// Reads and maps the whole of a file as the tailer would, and hands `each` row on.
pub fn read(config: &Config, path: &Path, mut each: impl FnMut(Row)) -> Result<WholeFile, Error> {
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
        file_id: FileId::from_hash(hash(path.as_os_str().as_bytes())),
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
    Ok(WholeFile { mapping, header: head.header, end: reader.position() })
}

#[cfg(test)]
mod tests {
    use common::config::{IdScope, Source};

    use super::*;

    #[test]
    fn rule_links_stay_inside_also_when_a_file_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        let link = |name: &str, target: &str| {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
            check(&Config::default(), &dir.path().join(name), &mut EventIds::default())
                .map(|checked| checked.rows)
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
        let checked = check(&Config::default(), &path, &mut EventIds::default()).unwrap();
        assert_eq!((checked.rows, checked.rejected, checked.attributes), (2, 1, vec!["note".to_owned()]));
        assert_eq!(checked.examples[0].0, 2);
        assert!(checked.examples[0].1.contains("\"soon\" is no time"));
    }

    #[test]
    fn rule_doubtful_ids_are_said_also_where_another_file_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source { files: "*".to_owned(), ..Source::default() };
        let mut config = Config { source: vec![source], ..Config::default() };
        let mut ids = EventIds::default();
        let mut check = |config: &Config, name: &str, what: &str| {
            let path = dir.path().join(name);
            let rows: Vec<String> =
                (1..=20).map(|id| format!("{id},view,2024-01-01 00:00:00,{what}")).collect();
            fs::write(&path, format!("event_id,event,time,user_id\n{}\n", rows.join("\n"))).unwrap();
            check(config, &path, &mut ids).unwrap().duplicates
        };
        assert_eq!(check(&config, "a.csv", "u"), Duplicates { all: 0, differing: 0 });
        assert_eq!(check(&config, "a copy.csv", "u"), Duplicates { all: 20, differing: 0 });
        assert_eq!(check(&config, "b.csv", "w"), Duplicates { all: 20, differing: 20 });
        config.source[0].id_scope = IdScope::File;
        assert_eq!(check(&config, "c.csv", "x"), Duplicates { all: 0, differing: 0 });
        assert_eq!(check(&config, "d.csv", "y"), Duplicates { all: 0, differing: 0 });
    }
}
