//! The bytes of the rejected rows of one file. Where the table has only their beginning, or only the message, they are read
//! again from the file. Row numbers enter in rising order.

use anyhow::{Context as _, ensure};
use common::FileId;
use common::config::Config;
use ledger::rejects::Reject;
use producer::file::read_span;

use crate::explain::row_lookup::{Located, Rows};

/// The longest row that is written to a file for editing, in bytes.
const LONGEST: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct RowBytes<'a> {
    config: &'a Config,
    file: FileId,
    /// The file, opened when the first row is needed from it, or why that failed.
    rows: Option<Result<Rows, String>>,
}

impl<'a> RowBytes<'a> {
    pub(super) fn new(config: &'a Config, file: FileId) -> Self {
        Self { config, file, rows: None }
    }

    /// All bytes of a row, without its line end. The error is a sentence for people.
    pub(super) fn of(&mut self, reject: Reject, row: i64) -> Result<Vec<u8>, String> {
        // What is kept of a row that was rejected later is the message that brought it.
        if reject.stage == "producer" && !reject.truncated {
            return Ok(reject.raw);
        }
        let rows = self.rows.get_or_insert_with(|| {
            Rows::open(self.config, self.file)
                .map_err(|error| format!("their file is needed, but {}", one_line(&error)))
        });
        let found = rows.as_mut().map_err(|why| why.clone())?.find(row).map_err(|error| one_line(&error))?;
        if found.is_cut { whole(&found).map_err(|error| one_line(&error)) } else { Ok(found.raw) }
    }
}

fn whole(Located { path, byte_start, byte_end, .. }: &Located) -> anyhow::Result<Vec<u8>> {
    let bytes = (byte_end - byte_start).unsigned_abs();
    ensure!(bytes <= LONGEST, "the row has {bytes} bytes; rows of up to {LONGEST} are written");
    let mut raw = read_span(path, byte_start.unsigned_abs(), usize::try_from(bytes)?)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let line = raw.strip_suffix(b"\n").unwrap_or(&raw);
    raw.truncate(line.strip_suffix(b"\r").unwrap_or(line).len());
    Ok(raw)
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
}
