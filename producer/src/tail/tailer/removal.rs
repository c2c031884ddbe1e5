//! Files that went away while nobody followed them. Their checkpoints still say that they are read; what leaves are
//! their accounts, as truncated.
//!
//! A file is only called gone where that is certain. Its own path must be free, or hold another file, and its directory,
//! which may be another one than this tailer's, must be readable and hold it under no other name.

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

/// What was found in directories that were looked through; none where one cannot be read.
type Looked = HashMap<PathBuf, Option<Found>>;

impl Tailer {
    /// Tells the account of every file that is neither followed nor there. What was `found` here is settled in the
    /// file's turn.
    pub(super) fn tell_missing(&mut self, found: &Found) {
        let followed: HashSet<FileId> = self.files.values().filter_map(TailedFile::file_id).collect();
        let unaccounted = self.context.store.open_files(|one| {
            one.state == State::Reading
                && !followed.contains(&one.file_id)
                && !found.may_have(one.identity.inode)
        });
        let mut looked = Looked::new();
        let mut chunk = Chunk::default();
        for checkpoint in unaccounted.iter().filter(|one| is_gone(one, &mut looked)) {
            tracing::warn!(
                file = %Printable(checkpoint.path.display()),
                rows_read = checkpoint.reached.row,
                "was removed while nobody read it; what was read of it stands and cannot be published again"
            );
            if let Err(error) = truncated::truncate(&self.context, checkpoint, &mut chunk) {
                tracing::error!(file = %Printable(checkpoint.path.display()), %error, "its end could not be kept");
            }
        }
        self.send(chunk);
    }

    /// Tells accounts that a crash, or the loss of the stream, may have swallowed.
    pub(super) fn tell_owed(&mut self) -> Result<(), checkpoint::Error> {
        let mut chunk = Chunk::default();
        truncated::tell_owed(&self.context, &mut chunk)?;
        self.send(chunk);
        Ok(())
    }
}

/// Older checkpoints do not say where their file is for a process in another directory; that one is never called gone.
fn is_gone(checkpoint: &Checkpoint, looked: &mut Looked) -> bool {
    let inode = checkpoint.identity.inode;
    let absolute = || checkpoint.path.is_absolute().then(|| checkpoint.path.clone());
    let Some(place) = checkpoint.absolute.clone().or_else(absolute) else { return false };
    match fs::metadata(&place) {
        Ok(there) if there.ino() == inode => return false,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return false,
        _ => {}
    }
    let Some(dir) = place.parent() else { return false };
    let found = looked.entry(dir.to_owned()).or_insert_with(|| Scanner::new(dir).list().ok());
    found.as_ref().is_some_and(|found| !found.may_have(inode))
}
