//! Files of which the consumer says that every row is in a table.

use std::path::PathBuf;
use std::time::Instant;

use common::FileId;
use common::config::OnClose;
use common::wire::ClosedFile;

use super::Tailer;
use crate::archive::{self, Leaving, Put};
use crate::checkpoint::State;
use crate::file::identity::FileStat;
use crate::tail::Error;
use crate::tail::reading::Totals;

impl Tailer {
    /// Puts the files away of which these are the totals that were announced last and that are still as they were then.
    /// How they were looked at since does not count: a file that has grown waits for its turn, and is announced again.
    pub(super) fn closed(&mut self, closed: Vec<(FileId, ClosedFile)>) -> Result<(), Error> {
        let (files, leaving): (Vec<_>, Vec<_>) =
            closed.into_iter().filter_map(|(file_id, closed)| self.closing(file_id, closed)).unzip();
        if files.is_empty() {
            return Ok(());
        }
        let config = &self.context.config;
        let puts =
            archive::put_away(&self.context.store, leaving, config.tail.on_close, &config.archive_dir())?;
        for ((file_id, path, announced), put) in files.into_iter().zip(puts) {
            self.was_put(file_id, path, announced, put);
        }
        Ok(())
    }

    /// The file of these totals, which nobody waits for any more, if they are those that were announced last.
    fn closing(
        &mut self,
        file_id: FileId,
        closed: ClosedFile,
    ) -> Option<((FileId, PathBuf, FileStat), Leaving)> {
        let path = self.announced.get(&file_id)?;
        let reading = self.files.get(path)?.reading.as_ref()?;
        let is_this =
            |totals: &Totals| (totals.revision, totals.rows_read) == (closed.revision, closed.rows_read);
        let announced = reading.announced.filter(is_this)?.file;
        let leaving = Leaving::new(reading.checkpoint.clone(), announced);
        let path = self.announced.remove(&file_id)?;
        Some(((file_id, path, announced), leaving))
    }

    fn was_put(
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
                self.leave(&path);
                self.watch_archived(file_id, announced);
            }
            Ok(Put::Changed) => {
                // It may have another name now, or another file its name.
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
