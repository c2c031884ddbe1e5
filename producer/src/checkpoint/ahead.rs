//! How far rows of a file may have been sent, which is beyond what its checkpoint says of acknowledged ones.
//!
//! After a crash the rows between are sent again, and have to be the same rows. Where the bytes up to here are not
//! those of then, the file is another one, even if it fits its checkpoint: a writer may have cut its end off and
//! written another one while nobody looked.
//!
//! It is written before each chunk of rows and not synced, for that costs a few microseconds: it has to outlive the
//! process, not the machine.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use common::FileId;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::file::Position;

/// The farthest that rows of one file were sent, over all times that it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ahead {
    pub reached: Position,
    /// As in the checkpoint.
    pub cuts: Vec<u64>,
}

impl Ahead {
    /// Where nothing is known but the checkpoint.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self { reached: checkpoint.reached, cuts: checkpoint.cuts.clone() }
    }
}

/// Written in place, so that there is a whole one at any moment: one line, and what is left of a longer one before.
pub(super) fn write(dir: &Path, file: FileId, ahead: &Ahead) -> io::Result<()> {
    let mut line = serde_json::to_vec(ahead)?;
    line.push(b'\n');
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path(dir, file))?;
    file.write_all_at(&line, 0)
}

/// `None` where nothing was noted, or nothing that can be read.
pub(super) fn read(dir: &Path, file: FileId) -> Option<Ahead> {
    let bytes = fs::read(path(dir, file)).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

/// For a file that will not be read any more.
pub(super) fn remove(dir: &Path, file: FileId) {
    // There need not be one.
    let _ = fs::remove_file(path(dir, file));
}

fn path(dir: &Path, file: FileId) -> PathBuf {
    dir.join(format!("{file}.ahead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_counts_however_long_the_one_before_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = FileId::from(42);
        assert_eq!(read(dir.path(), file), None);
        for cuts in [vec![1_000, 2_000, 3_000], vec![], vec![7]] {
            let ahead = Ahead { reached: Position { offset: 9, ..Position::default() }, cuts };
            write(dir.path(), file, &ahead).unwrap();
            assert_eq!(read(dir.path(), file), Some(ahead));
        }
        remove(dir.path(), file);
        assert_eq!(read(dir.path(), file), None);
    }
}
