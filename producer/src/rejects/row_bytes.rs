//! Reads the bytes of rejected rows again from their file, if the table has only the beginning, or only the message. Row
//! numbers enter, in rising order; the bytes of each row leave.

use std::io;
use std::path::PathBuf;

use common::FileId;
use common::config::Config;

use crate::file::content::{Content, Got};
use crate::row_lookup::{self, Located, Rows};

/// The longest row that is written to a file for editing, in bytes.
const LONGEST: u64 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Locate(#[from] row_lookup::Error),
    #[error("failed to read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the row has {bytes} bytes; rows of up to {LONGEST} are written")]
    TooLong { bytes: u64 },
}

#[derive(Debug)]
pub struct RowBytes(Rows);

impl RowBytes {
    /// Opens the file by its checkpoint.
    pub fn open(config: &Config, file: FileId) -> Result<Self, Error> {
        Ok(Self(Rows::open(config, file)?))
    }

    /// All bytes of a row, which has to be behind the previous one.
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
