//! Files of which the consumer says that every row is in a table.

use std::time::Instant;

use common::FileId;
use common::config::OnClose;
use common::wire::ClosedFile;

use super::Tailer;
use crate::archive::{self, Put};
use crate::checkpoint::State;
use crate::tail::Error;
use crate::tail::reading::Totals;

impl Tailer {
    /// Puts the file away, where these are the totals that were announced last and the file is still as it was then.
    /// How it was looked at since does not count: a file that has grown waits for its turn, and is announced again.
    pub(super) fn closed(&mut self, file_id: FileId, closed: ClosedFile) -> Result<(), Error> {
        let Some(path) = self.announced.get(&file_id).cloned() else { return Ok(()) };
        let Some(file) = self.files.get_mut(&path) else { return Ok(()) };
        let Some(reading) = &mut file.reading else { return Ok(()) };
        let is_this =
            |totals: &Totals| (totals.revision, totals.rows_read) == (closed.revision, closed.rows_read);
        let Some(totals) = reading.announced.filter(is_this) else { return Ok(()) };
        let config = &self.context.config;
        let put = archive::put_away(
            &self.context.store,
            reading.checkpoint.clone(),
            totals.file,
            config.tail.on_close,
            &config.archive_dir(),
        );
        self.announced.remove(&file_id);
        match put {
            Ok(Put::Away) if config.tail.on_close == OnClose::Keep => {
                reading.checkpoint.state = State::Kept;
            }
            Ok(Put::Away) => {
                self.leave(&path);
                self.watch_archived(file_id, totals.file);
            }
            Ok(Put::Changed) => {
                // It may have another name now, or another file its name.
                self.next_scan = Instant::now();
                self.make_ready(path);
            }
            Err(archive::Error::Checkpoint(error)) => return Err(error.into()),
            Err(error) => {
                let why = format!(
                    "every row of it is in a table, but it could not be put away: {:#}",
                    anyhow::Error::new(error)
                );
                self.park(path, why);
            }
        }
        Ok(())
    }
}
