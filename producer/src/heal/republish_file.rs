//! Rows that neither the database nor the stream has, read from their files once more and mapped as they were.
//!
//! A file is read twice: first to see that it still gives the rows that it gave, and only then to send those that are
//! missing. A row must not go out under the number of another one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::Config;
use common::origin::Row;
use common::{Origin, RowSet};

use super::find::find;
use super::missing_rows::MissingRows;
use super::{Before, Error, Progress, Sink};
use crate::checkpoint::{Checkpoint, Limits};
use crate::csv::header;
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file::content::Got;
use crate::map::resolve::{self, MappedFile};
use crate::map::{Mapped, Mapping, Unmappable, source_of};
use crate::tail::reading::{Chunk, Reading};

/// Reads files as the tailer does.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) config: Config,
    /// The broker's limit.
    pub(super) max_payload: usize,
}

impl Files {
    /// Sends what is missing of each file, or notes why it cannot be had.
    pub(super) fn republish(
        &self,
        before: &Before,
        missing_rows: &mut MissingRows,
        sink: &Sink,
        progress: &Progress,
    ) -> Result<(), Error> {
        for checkpoint in &before.checkpoints {
            let missing = missing_rows.missing(checkpoint.file_id, checkpoint.reached.row);
            if missing.is_empty() {
                continue;
            }
            match self.file(checkpoint, &missing, &before.checkpoints) {
                Ok(file) => file.republish(&missing, missing_rows, sink, progress)?,
                Err(why) => missing_rows.cannot(checkpoint.file_id, why),
            }
        }
        Ok(())
    }

    /// The file of a checkpoint, if it still gives the rows that it gave. A tailer may be reading on in it: the rows up to
    /// the checkpoint stay what they are, and nobody else sends them again.
    fn file<'a>(
        &'a self,
        checkpoint: &'a Checkpoint,
        missing: &RowSet,
        known: &[Checkpoint],
    ) -> Result<Reread<'a>, String> {
        let path = find(checkpoint, &self.config)?;
        let mapping = match &checkpoint.mapping {
            Some(mapping) => Arc::clone(mapping),
            None => self.resolve(checkpoint, &path, known).map_err(|error| cannot(&path, &error))??,
        };
        let file = Reread { files: self, checkpoint, path, mapping };
        let then = checkpoint.reached;
        let mut too_large = None;
        let note = |first: Row, messages: Vec<Mapped>| {
            let sizes = (first..).zip(messages.iter().map(|message| message.payload.len()));
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
            // The row would be another one if it were cut to fit.
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

    /// The mapping that the configuration gives now, for a checkpoint that does not tell the one of then.
    fn resolve(
        &self,
        checkpoint: &Checkpoint,
        path: &Path,
        known: &[Checkpoint],
    ) -> io::Result<Result<Arc<Mapping>, String>> {
        let source = source_of(&self.config, &checkpoint.path);
        let (mut buffer, _) = Buffer::open(path, &Position::default())?;
        let mut got = buffer.fill()?;
        let splitter = resolve::splitter(&source, &checkpoint.path, buffer.rest());
        let head = loop {
            match header::find(buffer.rest(), splitter, got != Got::More) {
                Ok(Some(head)) => break head,
                Ok(None) if got == Got::More => got = buffer.fill()?,
                Ok(None) => return Ok(Err(format!("{} has no header", path.display()))),
                Err(why) => return Ok(Err(why)),
            }
        };
        let of_file = |file| known.iter().find(|one| one.file_id == file).cloned().map(MappedFile::from);
        let mapping =
            resolve::mapping(&self.config, &source, splitter.delimiter, (&head, buffer.rest()), of_file);
        Ok(mapping.map(Arc::new).map_err(|Unmappable(why)| why))
    }
}

/// One file that is read again.
#[derive(Debug)]
struct Reread<'a> {
    files: &'a Files,
    checkpoint: &'a Checkpoint,
    path: PathBuf,
    mapping: Arc<Mapping>,
}

impl Reread<'_> {
    fn republish(
        &self,
        missing: &RowSet,
        missing_rows: &mut MissingRows,
        sink: &Sink,
        progress: &Progress,
    ) -> Result<(), Error> {
        progress.expect(self.checkpoint.reached.row.unsigned_abs());
        self.rows(|first, messages| {
            let read = messages.len();
            let wanted: Vec<(Row, Mapped)> =
                (first..).zip(messages).filter(|(row, _)| missing.contains(*row)).collect();
            progress.note(read, wanted.len());
            for (row, _) in &wanted {
                missing_rows.take_from_file(Origin { file: self.checkpoint.file_id, row: *row });
            }
            sink.blocking_send(wanted.into_iter().map(|(_, message)| message).collect())
        })?;
        Ok(())
    }

    /// Gives the rows up to the checkpoint's position to `each`, some at a time, with the number of the first.
    fn rows(&self, mut each: impl FnMut(Row, Vec<Mapped>) -> Result<(), Error>) -> Result<Position, Error> {
        let failed = |source| Error::File { path: self.path.clone(), source };
        let Checkpoint { start, reached, .. } = *self.checkpoint;
        let (mut buffer, seen) = Buffer::open(&self.path, &start).map_err(failed)?;
        let begun = Checkpoint { reached: start, ..self.checkpoint.clone() };
        let Files { config, max_payload, .. } = self.files;
        let now = Limits { max_record_bytes: config.tail.max_record_bytes, max_payload: *max_payload };
        let mut reading = Reading::new(begun, &self.mapping, now);
        loop {
            let got = buffer.fill().map_err(failed)?;
            // What a file has grown by since is another story, and may have changed its last line.
            let at_end = buffer.cut(reached.offset) || got != Got::More;
            let (mut chunk, first) = (Chunk::default(), reading.checkpoint.reached.row + 1);
            reading
                .take(&mut buffer, at_end, seen.written_us, &mut chunk)
                .map_err(|error| failed(io::Error::other(error)))?;
            each(first, chunk.messages)?;
            if at_end {
                return Ok(reading.checkpoint.reached);
            }
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

#[cfg(test)]
mod tests;
