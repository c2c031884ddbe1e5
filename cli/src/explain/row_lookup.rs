//! Reads one row of a file again, by the file's checkpoint. An origin enters, the row's bytes and their offsets leave.
//!
//! The file is read from its first row as the tailer reads it, so that row numbers are the same, and nothing is changed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use common::config::Config;
use common::wire::{EventMessage, RejectMessage};
use common::{FileId, Origin};
use producer::checkpoint::Reader;
use producer::file_reader::{FileReader, Row};
use producer::map::{MappingRules, MaxPayload};
use uuid::Uuid;

/// A row as it is in its file now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    /// Offset of its first byte, uncompressed.
    pub(crate) byte_start: i64,
    /// Offset behind its last byte, its line end included.
    pub(crate) byte_end: i64,
    /// Its bytes without the line end; their beginning where `is_cut`.
    pub(crate) raw: Vec<u8>,
    /// Whether `raw` is only its beginning.
    pub(crate) is_cut: bool,
    /// What the row is.
    pub(crate) read_as: ReadAs,
}

/// The result of mapping the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadAs {
    Event(Uuid),
    /// No event, with the reason for people.
    Rejected(String),
}

/// Reads the row again. It takes as long as reading the file up to it.
pub(super) fn locate(config: &Config, origin: Origin) -> anyhow::Result<Located> {
    Rows::open(config, origin.file)?.find(origin.row)
}

/// The rows of a file, read again from the first one on.
#[derive(Debug)]
pub(crate) struct Rows {
    path: PathBuf,
    reader: FileReader,
}

impl Rows {
    /// Opens the file where it is now, if it is still the same.
    pub(crate) fn open(config: &Config, file: FileId) -> anyhow::Result<Self> {
        let dir = config.checkpoint_dir();
        let reader = Reader::open(&dir)?;
        let found = reader.map(|reader| reader.rows().of_file(file)).transpose()?.flatten();
        // The file is of another machine, or its checkpoint was deleted.
        let checkpoint =
            found.with_context(|| format!("there is no checkpoint of file {file} in {}", dir.display()))?;
        let Some(path) = checkpoint.place().map(Path::to_owned) else {
            bail!("{} was deleted when every row of it was in a table", checkpoint.path.display());
        };
        let Some(mapping) = &checkpoint.mapping else {
            bail!("the checkpoint of {} has no mapping of its columns", path.display());
        };
        let limits = MappingRules::new(config, MaxPayload::DEFAULT).limits();
        let reader = FileReader::open(&path, checkpoint.row_format(mapping, limits), checkpoint.start)
            .with_context(|| read_error(&path))?;
        if !reader.buffer.fits(&checkpoint.start) {
            bail!("{} is another file by now", path.display());
        }
        Ok(Self { path, reader })
    }

    /// Reads on to the row `wanted`, which has to be behind the previous one.
    pub(crate) fn find(&mut self, wanted: i64) -> anyhow::Result<Located> {
        while let Some(row) = self.reader.next_row().with_context(|| read_error(&self.path))? {
            if row.position.row == wanted {
                return Ok(self.located(&row));
            }
        }
        bail!("{} has {} rows", self.path.display(), self.reader.position().row)
    }

    fn located(&self, Row { position, message }: &Row) -> Located {
        // The message of a rejected row has its bytes, which may not be in the buffer any more.
        if let Ok(reject) = serde_json::from_slice::<RejectMessage>(&message.payload) {
            return Located {
                path: self.path.clone(),
                byte_start: reject.byte_start,
                byte_end: reject.byte_end,
                raw: reject.raw.0,
                is_cut: reject.truncated,
                read_as: ReadAs::Rejected(reject.message),
            };
        }
        let event = serde_json::from_slice::<EventMessage<'_>>(&message.payload);
        let raw = self.reader.buffer.bytes(position.byte_start, position.byte_end).unwrap_or_default();
        let line = raw.strip_suffix(b"\n").map_or(raw, |raw| raw.strip_suffix(b"\r").unwrap_or(raw));
        Located {
            path: self.path.clone(),
            byte_start: position.byte_start.cast_signed(),
            byte_end: position.byte_end.cast_signed(),
            raw: line.to_vec(),
            is_cut: false,
            read_as: event.map_or_else(
                |error| ReadAs::Rejected(error.to_string()),
                |event| ReadAs::Event(event.event_id),
            ),
        }
    }
}

fn read_error(path: &Path) -> String {
    format!("failed to read {}", path.display())
}
