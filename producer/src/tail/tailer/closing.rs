//! Files that the consumer has announced as closed: every row of them is in a table.

use std::path::PathBuf;
use std::time::Instant;

use common::FileId;
use common::config::OnClose;
use common::wire::ClosedFile;

use super::Tailer;
use crate::archive::{self, ClosingFile, Put};
use crate::checkpoint::State;
use crate::file::identity::FileStat;
use crate::tail::Error;
use crate::tail::reading::Totals;

impl Tailer {
    /// Puts away each file whose latest totals are the closed ones, and which has not changed since they were announced.
    /// A file that has grown is read on, and announced again.
    pub(super) fn closed(&mut self, closed: Vec<(FileId, ClosedFile)>) -> Result<(), Error> {
        let (files, closing_files): (Vec<_>, Vec<_>) =
            closed.into_iter().filter_map(|(file_id, closed)| self.closing(file_id, closed)).unzip();
        if files.is_empty() {
            return Ok(());
        }
        let config = &self.context.config;
        let puts = archive::put_away(
            &self.context.store,
            closing_files,
            config.tail.on_close,
            &config.archive_dir(),
        )?;
        for ((file_id, path, announced), put) in files.into_iter().zip(puts) {
            self.after_put_away(file_id, path, announced, put);
        }
        Ok(())
    }

    /// The file, if these are its latest totals. It is no longer waited for.
    fn closing(
        &mut self,
        file_id: FileId,
        closed: ClosedFile,
    ) -> Option<((FileId, PathBuf, FileStat), ClosingFile)> {
        let path = &self.announced.get(&file_id)?.path;
        let reading = self.files.get(path)?.reading.as_ref()?;
        let is_this =
            |totals: &Totals| (totals.revision, totals.rows_read) == (closed.revision, closed.rows_read);
        let announced = reading.announced.filter(is_this)?.file;
        let closing_file = ClosingFile::new(reading.checkpoint.clone(), announced);
        let path = self.announced.remove(&file_id)?.path;
        Some(((file_id, path, announced), closing_file))
    }

    fn after_put_away(
        &mut self,
        file_id: FileId,
        path: PathBuf,
        announced: FileStat,
        put: Result<Put, archive::Error>,
    ) {
        match put {
            Ok(Put::Away) if self.context.config.tail.on_close == OnClose::Keep => {
                if let Some(reading) = self.files.get_mut(&path).and_then(|file| file.reading.as_mut()) {
                    reading.checkpoint.state = State::Kept;
                }
            }
            Ok(Put::Away) => {
                self.stop_following(&path);
                self.watch_archived(file_id, announced);
            }
            Ok(Put::Changed) => {
                // The file may have been renamed, or replaced.
                self.next_scan = Instant::now();
                self.make_ready(path);
            }
            Err(error) => {
                let why = format!(
                    "every row of it is in a table, but it could not be put away: {:#}",
                    anyhow::Error::new(error)
                );
                self.park(path, why);
            }
        }
    }
}
