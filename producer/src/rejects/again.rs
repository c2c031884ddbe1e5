//! Rejected rows of which the table has only the beginning, or only the message: their bytes are read again from the
//! file. Row numbers enter, in rising order, and the bytes of each leave.

use std::io;
use std::path::PathBuf;

use common::FileId;
use common::config::Config;

use crate::file::content::{Content, Got};
use crate::row_lookup::{self, Located, Rows};

/// Nobody edits a longer row, in bytes.
const LONGEST: u64 = 16 << 20;

/// Why the bytes of a row are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, or another one.
    #[error(transparent)]
    Locate(#[from] row_lookup::Error),
    /// It cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Nobody could edit it.
    #[error("the row has {bytes} bytes; rows of up to {LONGEST} are written")]
    TooLong {
        /// Its bytes.
        bytes: u64,
    },
}

/// The rows of one file.
#[derive(Debug)]
pub struct Again(Rows);

impl Again {
    /// Opens the file by its checkpoint.
    pub fn open(config: &Config, file: FileId) -> Result<Self, Error> {
        Ok(Self(Rows::open(config, file)?))
    }

    /// The whole of a row, which has to lie behind those that were asked for before.
    pub fn row(&mut self, row: i64) -> Result<Vec<u8>, Error> {
        let found = self.0.find(row)?;
        if found.is_cut { whole(found) } else { Ok(found.raw) }
    }
}

fn whole(Located { path, byte_start, byte_end, .. }: Located) -> Result<Vec<u8>, Error> {
    let bytes = (byte_end - byte_start).unsigned_abs();
    if bytes > LONGEST {
        return Err(Error::TooLong { bytes });
    }
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut raw = Vec::with_capacity(length);
    let read = Content::open(&path, byte_start.unsigned_abs()).and_then(|(mut content, ..)| {
        let mut missing = length;
        while missing > 0 && content.read(&mut raw, missing)? == Got::More {
            missing = length - raw.len();
        }
        Ok(())
    });
    read.map_err(|source| Error::Read { path, source })?;
    let line = raw.strip_suffix(b"\n").unwrap_or(&raw);
    raw.truncate(line.strip_suffix(b"\r").unwrap_or(line).len());
    Ok(raw)
}
