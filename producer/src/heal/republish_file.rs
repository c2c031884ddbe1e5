//! Rows that neither the database nor the stream has, read from their files once more and mapped as they were.
//!
//! A file is read twice: first to check that it still has the same rows, and then to send those that are missing. A row
//! must not be published under the number of another one.

use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::Config;
use common::{Origin, RowSet};

use super::find::find;
use super::missing_rows::MissingRows;
use super::{Error, Progress, Sink, Snapshot};
use crate::checkpoint::Checkpoint;
use crate::file::Position;
use crate::file::content::Got;
use crate::file_reader::{FileReader, NewFile, NoHeader, Row, RowFormat};
use crate::map::{MappedFile, Mapping, MappingRules, MaxPayload, Unmappable};

/// Reads files as the tailer does.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) config: Config,
    /// The broker's limit.
    pub(super) max_payload: usize,
}

impl Files {
    /// Sends what is missing of each file, or stores why it cannot be restored.
    pub(super) fn republish(
        &self,
        snapshot: &Snapshot,
        missing_rows: &mut MissingRows,
        sink: &Sink,
        progress: &Progress,
    ) -> Result<(), Error> {
        for checkpoint in &snapshot.checkpoints {
            let missing = missing_rows.missing(checkpoint.file_id, checkpoint.reached.row);
            if missing.is_empty() {
                continue;
            }
            match self.file(checkpoint, &missing, &snapshot.checkpoints) {
                Ok(file) => file.republish(&missing, missing_rows, sink, progress)?,
                Err(why) => missing_rows.cannot(checkpoint.file_id, why),
            }
        }
        Ok(())
    }

    /// The file of a checkpoint, if it still has the same rows. A tailer may be reading on in it, but it does not send the
    /// rows up to the checkpoint again.
    fn file<'a>(
        &self,
        checkpoint: &'a Checkpoint,
        missing: &RowSet,
        known: &[Checkpoint],
    ) -> Result<FileToRepublish<'a>, String> {
        let path = find(checkpoint, &self.config)?;
        let rules = MappingRules::new(&self.config, MaxPayload::Is(self.max_payload));
        let mapping = match &checkpoint.mapping {
            Some(mapping) => Arc::clone(mapping),
            None => resolve(&rules, checkpoint, &path, known)?,
        };
        let file =
            FileToRepublish { checkpoint, format: checkpoint.row_format(&mapping, rules.limits()), path };
        let then = checkpoint.reached;
        let mut too_large = None;
        let note = |rows: Vec<Row>| {
            let sizes = rows.iter().map(|row| (row.position.row, row.message.payload.len()));
            let of_missing = sizes.filter(|(row, size)| *size > self.max_payload && missing.contains(*row));
            too_large = too_large.into_iter().chain(of_missing).max_by_key(|(_, size)| *size);
            Ok(())
        };
        let now = match file.rows(note) {
            Ok(now) => now,
            Err(Error::File { path, source }) => return Err(cannot(&path, &source)),
            Err(error) => return Err(error.to_string()),
        };
        if (now.row, now.published, now.rejected) == (then.row, then.published, then.rejected) {
            // If it were cut to fit, it would be another row.
            return too_large.map_or(Ok(file), |(row, size)| {
                Err(format!(
                    "row {row} makes a message of {size} bytes, and the broker's max_payload is {} now; set it to at \
                     least {size} and run `millrace heal` again",
                    self.max_payload
                ))
            });
        }
        Err(format!(
            "{} gives {} events and {} rejected rows now, and gave {} and {}",
            file.path.display(),
            now.published,
            now.rejected,
            then.published,
            then.rejected
        ))
    }
}

/// The mapping that the configuration gives now, for a checkpoint without the one of then.
fn resolve(
    rules: &MappingRules,
    checkpoint: &Checkpoint,
    path: &Path,
    known: &[Checkpoint],
) -> Result<Arc<Mapping>, String> {
    let (mut file, _) = NewFile::open(rules, &checkpoint.path, path).map_err(|error| cannot(path, &error))?;
    let head = file.read_head().map_err(|error| match error {
        NoHeader::Read(error) => cannot(path, &error),
        NoHeader::Unusable(why) => format!("{}: {why}", path.display()),
    })?;
    let original = file.original(&head).and_then(|file| known.iter().find(|one| one.file_id == file));
    let mapping = file.mapping(rules, &head, original.cloned().map(MappedFile::from));
    mapping.map(Arc::new).map_err(|Unmappable(why)| why)
}

/// One file that is read again.
#[derive(Debug)]
struct FileToRepublish<'a> {
    checkpoint: &'a Checkpoint,
    format: RowFormat,
    path: PathBuf,
}

impl FileToRepublish<'_> {
    fn republish(
        &self,
        missing: &RowSet,
        missing_rows: &mut MissingRows,
        sink: &Sink,
        progress: &Progress,
    ) -> Result<(), Error> {
        progress.expect(self.checkpoint.reached.row.unsigned_abs());
        self.rows(|rows| {
            let read = rows.len();
            let wanted: Vec<Row> =
                rows.into_iter().filter(|row| missing.contains(row.position.row)).collect();
            progress.note(read, wanted.len());
            for row in &wanted {
                missing_rows.take_from_file(Origin { file: row.position.file, row: row.position.row });
            }
            sink.blocking_send(wanted.into_iter().map(|row| row.message).collect())
        })?;
        Ok(())
    }

    /// Gives the rows up to the checkpoint's position to `each`, some at a time. What a file has grown by since is not
    /// read: it may have changed its last line.
    fn rows(&self, mut each: impl FnMut(Vec<Row>) -> Result<(), Error>) -> Result<Position, Error> {
        let failed = |source| Error::File { path: self.path.clone(), source };
        let Checkpoint { start, reached, .. } = *self.checkpoint;
        let mut reader =
            FileReader::open(&self.path, self.format.clone(), start).map_err(failed)?.up_to(reached.offset);
        loop {
            let got = reader.fill().map_err(failed)?;
            each(iter::from_fn(|| reader.next_at_hand(got == Got::End)).collect())?;
            if got != Got::More {
                return Ok(reader.position());
            }
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

#[cfg(test)]
mod tests;
