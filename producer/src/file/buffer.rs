//! A window into a file: up to 4 KiB of split records, then the bytes that are not split yet, which are the rest.

use std::io;
use std::path::Path;

use crate::file::Position;
use crate::file::content::{Content, Got};
use crate::file::identity::{FileStat, TAIL, hash};

/// Bytes of one read.
const READ: usize = 64 << 10;

/// Empty while it is closed.
#[derive(Debug, Default)]
pub struct Buffer {
    content: Option<Content>,
    bytes: Vec<u8>,
    /// The file's offset of the first byte.
    base: u64,
    /// Where in `bytes` the rest begins.
    at: usize,
}

impl Buffer {
    /// Opens `path` at the position `reached`. Also returns the file's metadata.
    pub(crate) fn open(path: &Path, reached: &Position) -> io::Result<(Self, FileStat)> {
        let (content, seen, tail) = Content::open(path, reached.offset)?;
        let base = reached.offset.saturating_sub(tail.len() as u64);
        Ok((Self { content: Some(content), at: tail.len(), bytes: tail, base }, seen))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.content.is_some()
    }

    /// Closes the file. What was not split is read again next time.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    /// Reads more. Split bytes are dropped, except for the last 4 KiB. Fails if the file was rewritten since it was opened,
    /// since the new bytes might begin in the middle of a record.
    pub(crate) fn fill(&mut self) -> io::Result<Got> {
        let gone = self.at.saturating_sub(TAIL);
        self.bytes.drain(..gone);
        self.at -= gone;
        self.base += gone as u64;
        let Some(content) = &mut self.content else { return Ok(Got::End) };
        let before = self.bytes.len();
        let got = content.read(&mut self.bytes, READ)?;
        // After the read, since it may have been rewritten just before it.
        content.still_has(&self.bytes[..before], self.base)?;
        Ok(got)
    }

    /// Drops the bytes from the file's offset `end` on. Returns whether all bytes before it were read.
    pub(crate) fn cut(&mut self, end: u64) -> bool {
        let length = usize::try_from(end.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let is_there = length <= self.bytes.len();
        self.bytes.truncate(length);
        is_there
    }

    /// The bytes that are not split yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// The bytes between two offsets of the file, unless they are outside of the window.
    pub fn bytes(&self, start: u64, end: u64) -> Option<&[u8]> {
        let at = |offset: u64| usize::try_from(offset.checked_sub(self.base)?).ok();
        self.bytes.get(at(start)?..at(end)?)
    }

    pub(crate) fn advance(&mut self, length: usize) {
        self.at += length;
    }

    /// Goes back to an `offset` of the file, of before an [`Buffer::advance`] since the last [`Buffer::fill`].
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
    pub fn fits(&self, reached: &Position) -> bool {
        self.offset() == reached.offset && self.tail_hash() == reached.tail_hash
    }
}
