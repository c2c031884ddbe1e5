//! What was written: every file with each content that it had, recorded by the one who wrote it.

use std::collections::BTreeMap;

use super::file_writer::content::Content;
use super::file_writer::rows::Rows;
use super::kind::Kind;

/// Everything that was written.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) rows: Rows,
    /// By number.
    pub(super) files: Vec<WrittenFile>,
    /// How often what was done to files.
    pub(super) strikes: BTreeMap<Kind, u64>,
    /// All rows that were written, also those that were removed again.
    pub(super) written: u64,
}

/// One file, under whatever name.
#[derive(Debug)]
pub(super) struct WrittenFile {
    /// With which it landed.
    pub(super) name: String,
    /// Each content before the last one, until the file was truncated or written anew.
    pub(super) earlier: Vec<Content>,
    /// What it has now, or had when it was removed.
    pub(super) last: Content,
    /// Whether it was removed or replaced.
    pub(super) is_removed: bool,
}

impl WrittenFile {
    /// Bytes of the last content that were there to be read, and are not gone.
    pub(super) fn due(&self) -> usize {
        if self.is_removed { 0 } else { self.last.landed }
    }

    /// Every content that it had.
    pub(super) fn contents(&self) -> impl Iterator<Item = &Content> {
        self.earlier.iter().chain([&self.last])
    }

    /// The file was truncated, or written anew.
    pub(super) fn replace(&mut self, content: Content) {
        self.earlier.push(std::mem::replace(&mut self.last, content));
    }
}
