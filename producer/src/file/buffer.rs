//! The part of a file that is at hand: up to 4 KiB that were read, then what is still to be split into records.

use std::io;
use std::path::Path;

use crate::file::Position;
use crate::file::content::{Content, Got};
use crate::file::identity::{FileStat, TAIL, hash};

/// Bytes of one read.
const READ: usize = 64 << 10;

/// A window into an open file; closed, it holds nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    content: Option<Content>,
    bytes: Vec<u8>,
    /// The file's offset of the first byte.
    base: u64,
    /// Where in `bytes` the rest begins.
    at: usize,
}

impl Buffer {
    /// Opens `path` at the position `reached`; also tells how the file looks.
    pub(crate) fn open(path: &Path, reached: &Position) -> io::Result<(Self, FileStat)> {
        let (content, seen, tail) = Content::open(path, reached.offset)?;
        let base = reached.offset.saturating_sub(tail.len() as u64);
        Ok((Self { content: Some(content), at: tail.len(), bytes: tail, base }, seen))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.content.is_some()
    }

    /// Gives everything back; what was not split is read again next time.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    /// Reads on. What was split already is dropped, but for the last 4 KiB. Fails where the file was rewritten since it
    /// was opened: what is read behind that would begin anywhere in a record.
    pub(crate) fn fill(&mut self) -> io::Result<Got> {
        let gone = self.at.saturating_sub(TAIL);
        self.bytes.drain(..gone);
        self.at -= gone;
        self.base += gone as u64;
        let Some(content) = &mut self.content else { return Ok(Got::End) };
        let before = self.bytes.len();
        let got = content.read(&mut self.bytes, READ)?;
        // Only now, since it may have been rewritten until just before the read.
        content.still_has(&self.bytes[..before], self.base)?;
        Ok(got)
    }

    /// Forgets what stands from the file's offset `end` on; whether everything before it is at hand.
    pub(crate) fn cut(&mut self, end: u64) -> bool {
        let length = usize::try_from(end.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let is_there = length <= self.bytes.len();
        self.bytes.truncate(length);
        is_there
    }

    /// What is still to be split.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// What stands between two offsets of the file, where that was read and is at hand.
    pub(crate) fn bytes(&self, start: u64, end: u64) -> Option<&[u8]> {
        let at = |offset: u64| usize::try_from(offset.checked_sub(self.base)?).ok();
        self.bytes.get(at(start)?..at(end)?)
    }

    pub(crate) fn advance(&mut self, length: usize) {
        self.at += length;
    }

    /// Goes back to an `offset` of the file that was passed since the last [`Buffer::fill`].
    pub(crate) fn move_back(&mut self, offset: u64) {
        let passed = usize::try_from(self.offset() - offset).unwrap_or(usize::MAX);
        self.at = self.at.saturating_sub(passed);
    }

    /// The file's offset of the rest.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The hash of the last bytes before the rest, up to 4 KiB.
    pub(crate) fn tail_hash(&self) -> u64 {
        hash(&self.bytes[self.at.saturating_sub(TAIL)..self.at])
    }

    /// Whether the bytes before the rest are those that were read when `reached` was.
    pub(crate) fn fits(&self, reached: &Position) -> bool {
        self.offset() == reached.offset && self.tail_hash() == reached.tail_hash
    }
}
