//! Files that were archived recently. A writer may still have one open, and write to it after a pause that was longer than
//! `finish_after`. Its rows would then be in the archive, where they are not read.

use std::path::PathBuf;
use std::time::Instant;

use common::FileId;

use super::Tailer;
use crate::archive;
use crate::checkpoint::State;
use crate::file::identity::FileStat;

/// How many files are checked, the latest ones.
const LATEST: usize = 256;

#[derive(Debug)]
pub(super) struct Archived {
    file: FileId,
    target: PathBuf,
    announced: FileStat,
}

impl Tailer {
    /// Lets a file be checked that was moved to the archive. A copy cannot have an open writer.
    pub(super) fn watch_archived(&mut self, file: FileId, announced: FileStat) {
        let known = self.context.store.of_file(file);
        let Some(checkpoint) =
            known.inspect_err(|error| tracing::debug!(%error, "has no checkpoint")).ok().flatten()
        else {
            return;
        };
        let State::Archived { target } = checkpoint.state else { return };
        if archive::is_unchanged_after_rename(&target, announced) {
            self.archived.truncate(LATEST - 1);
            self.archived.push_front(Archived { file, target, announced });
        }
    }

    /// Moves files back that have grown; a scan finds them.
    pub(super) fn check_archived(&mut self) {
        let has_grown = |one: &Archived| archive::has_grown(&one.target, one.announced);
        while let Some(at) = self.archived.iter().position(has_grown) {
            let Some(Archived { file, target, announced }) = self.archived.remove(at) else { return };
            let brought = match self.context.store.of_file(file) {
                Ok(None) => continue,
                Ok(Some(checkpoint)) => {
                    archive::move_back_from_archive(&self.context.store, checkpoint, &target, announced)
                }
                Err(error) => Err(error.into()),
            };
            match brought {
                Ok(()) => {
                    tracing::warn!(file = %target.display(), "was written after it was archived; reading on");
                    self.next_scan = Instant::now();
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::error!("{} was written after it was archived: {error:#}", target.display());
                }
            }
        }
    }
}
