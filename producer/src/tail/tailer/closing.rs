//! Files of which the consumer says that every row is in a table.

use common::FileId;
use common::config::OnClose;
use common::wire::ClosedFile;

use super::Tailer;
use crate::archive::{self, Put};
use crate::checkpoint::State;
use crate::tail::Error;

impl Tailer {
    /// Puts the file away, where the word is about its last account.
    pub(super) fn closed(&mut self, file_id: FileId, closed: ClosedFile) -> Result<(), Error> {
        let Some(path) = self.announced.get(&file_id).cloned() else { return Ok(()) };
        let Some(file) = self.files.get_mut(&path) else { return Ok(()) };
        let Some(reading) = &mut file.reading else { return Ok(()) };
        let is_this = reading.announced.is_some_and(|account| {
            (account.revision, account.rows_read) == (closed.revision, closed.rows_read)
        });
        if !is_this {
            return Ok(());
        }
        let config = &self.context.config;
        let put = archive::put_away(
            &self.context.store,
            reading.checkpoint.clone(),
            file.seen,
            config.tail.on_close,
            &config.archive_dir(),
        );
        self.announced.remove(&file_id);
        match put {
            Ok(Put::Away) if config.tail.on_close == OnClose::Keep => {
                reading.checkpoint.state = State::Kept;
            }
            Ok(Put::Away) => drop(self.files.remove(&path)),
            Ok(Put::Grew) => self.make_ready(path),
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
