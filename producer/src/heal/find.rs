//! Where the file of a checkpoint is now. It may have been moved, or put back from a backup; what counts is its content.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::config::Config;

use crate::checkpoint::{Checkpoint, State};
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file::content::Got;
use crate::file::identity::hash;

/// The file that the checkpoint is of. The error is the reason why there is none.
pub(super) fn find(checkpoint: &Checkpoint, config: &Config) -> Result<PathBuf, String> {
    let (landing, archive) = (config.landing_dir(), config.archive_dir());
    let places = match &checkpoint.state {
        State::Deleted => {
            return Err("the file was deleted when it was closed, as tail.on_close says".to_owned());
        }
        State::Truncated => {
            return Err("the file was rewritten or removed before it was closed".to_owned());
        }
        // A crash may have interrupted the move.
        State::Archived { target } | State::Archiving { target, .. } | State::Copied { target, .. } => {
            [beside(target, &archive), beside(&checkpoint.path, &landing)].concat()
        }
        State::Kept | State::Reading | State::Deleting => beside(&checkpoint.path, &landing),
    };
    let mut why = format!("{} is not there", places[0].display());
    for place in places {
        match holds(&place, checkpoint) {
            Ok(true) => return Ok(place),
            Ok(false) => why = format!("{} is not the file that was read", place.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => why = format!("{} cannot be read: {error}", place.display()),
        }
    }
    Err(why)
}

/// The path, and the same name in the directory that is configured now.
fn beside(path: &Path, dir: &Path) -> Vec<PathBuf> {
    let named = path.file_name().map(|name| dir.join(name));
    [Some(path.to_owned()), named.filter(|named| named != path)].into_iter().flatten().collect()
}

/// Whether the file has the same beginning, and the same bytes before the checkpoint's position, as the one that was read.
fn holds(path: &Path, checkpoint: &Checkpoint) -> io::Result<bool> {
    if !fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let length = usize::try_from(checkpoint.identity.head_length).unwrap_or(usize::MAX);
    let (mut beginning, _) = Buffer::open(path, &Position::default())?;
    while beginning.rest().len() < length && beginning.fill()? == Got::More {}
    let head = beginning.rest().get(..length);
    if head.is_none_or(|head| hash(head) != checkpoint.identity.head_hash) {
        return Ok(false);
    }
    Ok(Buffer::open(path, &checkpoint.reached)?.0.fits(&checkpoint.reached))
}
