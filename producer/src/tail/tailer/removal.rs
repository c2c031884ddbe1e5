//! Files that were removed while no tailer was running. Their checkpoints are still in the state `reading`; what leaves
//! are their totals, as truncated.
//!
//! A file only counts as removed if that is certain: its path is free or has another file, and its directory, which may
//! not be the one of this tailer, is readable and does not have it under another name.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use common::FileId;
use common::printable::Printable;

use super::Tailer;
use crate::checkpoint::{self, Checkpoint, State};
use crate::tail::reading::Chunk;
use crate::tail::scan::{Found, Scanner};
use crate::tail::tailed_file::TailedFile;
use crate::tail::truncated;

/// `None` of directories that cannot be read.
type Scanned = HashMap<PathBuf, Option<Found>>;

impl Tailer {
    /// Sends the totals of every file that is neither tailed nor there. Files that were `found` are identified when they
    /// are read.
    pub(super) fn truncate_missing(&mut self, found: &Found) {
        let tailed: HashSet<FileId> = self.files.values().filter_map(TailedFile::file_id).collect();
        let missing = self.context.store.open_files(|one| {
            one.state == State::Reading
                && !tailed.contains(&one.file_id)
                && !found.may_have(one.identity.inode)
        });
        let mut scanned = Scanned::new();
        let mut chunk = Chunk::default();
        for checkpoint in missing.iter().filter(|one| is_removed(one, &mut scanned)) {
            tracing::warn!(
                file = %Printable(checkpoint.path.display()),
                rows_read = checkpoint.reached.row,
                "was removed while no tailer was running; the rows that were read are kept and cannot be published again"
            );
            if let Err(error) = truncated::truncate(&self.context, checkpoint, &mut chunk) {
                tracing::error!(file = %Printable(checkpoint.path.display()), %error, "its end could not be stored");
            }
        }
        self.send(chunk);
    }

    /// Sends totals that may be missing in the stream, after a crash or a loss of data.
    pub(super) fn send_pending_totals(&mut self) -> Result<(), checkpoint::Error> {
        let mut chunk = Chunk::default();
        truncated::pending_totals(&self.context, &mut chunk)?;
        self.send(chunk);
        Ok(())
    }
}

/// Older checkpoints have no absolute path. If theirs is relative, their files never count as removed.
fn is_removed(checkpoint: &Checkpoint, scanned: &mut Scanned) -> bool {
    let inode = checkpoint.identity.inode;
    let absolute = || checkpoint.path.is_absolute().then(|| checkpoint.path.clone());
    let Some(place) = checkpoint.absolute.clone().or_else(absolute) else { return false };
    match fs::metadata(&place) {
        Ok(there) if there.ino() == inode => return false,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
        _ => {}
    }
    let Some(dir) = place.parent() else { return false };
    let found = scanned.entry(dir.to_owned()).or_insert_with(|| Scanner::new(dir).list().ok());
    found.as_ref().is_some_and(|found| !found.may_have(inode))
}
