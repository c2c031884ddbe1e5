//! `producer check`: what would become of a file, without sending anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::FileId;
use common::config::Config;

use crate::checkpoint::{Checkpoint, Limits, Reader};
use crate::csv::header;
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file::content::Got;
use crate::file::identity::Identity;
use crate::file::links::Link;
use crate::map::resolve::{self, MappedFile};
use crate::map::{Mapped, Mapping, Unmappable, source_of};
use crate::tail::reading::{Chunk, Reading};
use crate::tail::tailed_file::UNFINISHED;

/// How many rejected rows are told.
const EXAMPLES: usize = 5;
/// A limit that every broker has at least; its own may be higher.
const MAX_PAYLOAD: usize = 1 << 20;

/// What would become of a file.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The file.
    pub path: PathBuf,
    /// The `[[source]]` that maps it.
    pub source: String,
    /// The event's column and the file's column that fills it.
    pub columns: Vec<(String, String)>,
    /// The file's columns that go to `attributes`.
    pub attributes: Vec<String>,
    /// Its rows.
    pub rows: i64,
    /// How many of them are no events.
    pub rejected: i64,
    /// The first of those: their number and what is wrong.
    pub examples: Vec<(i64, String)>,
}

/// Why a file cannot be checked, or would be parked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It would be parked.
    #[error("{}: {why}", path.display())]
    Parked {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
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
    let (mapping, reached) = read(config, path, |row, message| {
        if let Some((_, why)) = message.rejected.filter(|_| examples.len() < EXAMPLES) {
            examples.push((row, why));
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

/// Reads and maps the whole of a file as the tailer would, and hands `each` row's number and message on. Answers with
/// the mapping and the file's counts.
pub(crate) fn read(
    config: &Config,
    path: &Path,
    mut each: impl FnMut(i64, Mapped),
) -> Result<(Arc<Mapping>, Position), Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let parked = |why: String| Error::Parked { path: path.to_owned(), why };
    let source = source_of(config, path);
    let (mut buffer, seen) =
        fs::canonicalize(path).and_then(|path| Buffer::open(&path, &Position::default())).map_err(read)?;
    let mut got = buffer.fill().map_err(read)?;
    let splitter = resolve::splitter(&source, path, buffer.rest());
    let head = loop {
        match header::find(buffer.rest(), splitter, got == Got::End).map_err(parked)? {
            Some(head) => break head,
            None if got == Got::More => got = buffer.fill().map_err(read)?,
            None if got == Got::Unfinished => return Err(parked(UNFINISHED.to_owned())),
            None => return Err(parked("there is no header".to_owned())),
        }
    };
    let of_file = |file| {
        let reader = Reader::open(&config.checkpoint_dir()).ok()??;
        reader.rows().of_file(file).ok()?.map(MappedFile::from)
    };
    let mapping = resolve::mapping(config, &source, splitter.delimiter, (&head, buffer.rest()), of_file)
        .map_err(|Unmappable(why)| parked(why))?;
    let mapping = Arc::new(mapping);
    buffer.advance(head.rows_begin);
    let identity = Identity { inode: seen.inode, head_length: 0, head_hash: 0, incarnation: 0 };
    let checkpoint = Checkpoint::new(FileId::from(1), identity, path);
    let max_record_bytes = config.tail.max_record_bytes;
    let mut reading =
        Reading::new(checkpoint, &mapping, Limits { max_record_bytes, max_payload: MAX_PAYLOAD });
    loop {
        let (mut chunk, before) = (Chunk::default(), reading.checkpoint.reached.row);
        reading
            .take(&mut buffer, got == Got::End, seen.written_us, &mut chunk)
            .map_err(|error| parked(error.to_string()))?;
        for (row, message) in (before + 1..).zip(chunk.messages) {
            each(row, message);
        }
        match got {
            Got::End => return Ok((mapping, reading.checkpoint.reached)),
            Got::Unfinished => return Err(parked(UNFINISHED.to_owned())),
            Got::More => got = buffer.fill().map_err(read)?,
        }
    }
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
    fn tells_what_would_become_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "event,time,note\nview,2024-01-01 00:00:00,x\nview,soon,y\n").unwrap();
        let checked = check(&Config::default(), &path).unwrap();
        assert_eq!((checked.rows, checked.rejected, checked.attributes), (2, 1, vec!["note".to_owned()]));
        assert_eq!(checked.examples[0].0, 2);
        assert!(checked.examples[0].1.contains("\"soon\" is no time"));
    }
}
