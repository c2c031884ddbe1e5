//! A file that is read for the first time. What enters is its name and its beginning; what leaves is what is settled by
//! them: where its rows begin, and how they are mapped.

use std::io;
use std::path::Path;

use common::FileId;
use common::config::Source;

use crate::csv::header::{self, Head};
use crate::csv::records::Splitter;
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file::compressed::UNFINISHED;
use crate::file::content::Got;
use crate::file::identity::FileStat;
use crate::map::{
    MappedFile, Mapping, MappingRules, Unmappable, delimiter_of, delimiter_of_edited, original_of,
};

#[derive(Debug)]
pub(crate) struct NewFile {
    source: Source,
    /// By its name.
    delimiter: u8,
    pub buffer: Buffer,
}

/// Why the header of a file is not found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHeader {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A sentence about its content.
    #[error("{0}")]
    Unusable(String),
}

impl NewFile {
    /// Opens the file at `path`, which is mapped as a file that is called `name`.
    pub(crate) fn open(rules: &MappingRules, name: &Path, path: &Path) -> io::Result<(Self, FileStat)> {
        let source = rules.source_of(name);
        let delimiter = delimiter_of(&source, name);
        let (buffer, stat) = Buffer::open(path, &Position::default())?;
        Ok((Self { source, delimiter, buffer }, stat))
    }

    /// The header, and where the rows begin, as soon as they are at hand. The error is a sentence that says why there is
    /// no header.
    pub(crate) fn head(&self, at_end: bool) -> Result<Option<Head>, String> {
        let splitter = Splitter {
            delimiter: delimiter_of_edited(self.buffer.rest()).unwrap_or(self.delimiter),
            comment: self.source.comment.and_then(|sign| u8::try_from(sign).ok()),
        };
        header::find(self.buffer.rest(), splitter, at_end)
    }

    /// Reads until the header is at hand.
    pub(crate) fn read_head(&mut self) -> Result<Head, NoHeader> {
        loop {
            let got = self.buffer.fill()?;
            match self.head(got == Got::End).map_err(NoHeader::Unusable)? {
                Some(head) => return Ok(head),
                None if got == Got::More => {}
                None if got == Got::Unfinished => return Err(NoHeader::Unusable(UNFINISHED.to_owned())),
                None => return Err(NoHeader::Unusable("there is no header".to_owned())),
            }
        }
    }

    /// The file that the rows come from, where this is an edited one.
    pub(crate) fn original(&self, head: &Head) -> Option<FileId> {
        original_of(head, self.buffer.rest())
    }

    pub(crate) fn mapping(
        &self,
        rules: &MappingRules,
        head: &Head,
        original: Option<MappedFile>,
    ) -> Result<Mapping, Unmappable> {
        rules.resolve(&self.source, head, original)
    }

    /// The file behind its header, and the position there.
    pub(crate) fn into_rows(mut self, head: &Head) -> (Buffer, Position) {
        self.buffer.advance(head.rows_begin);
        let (offset, tail_hash) = (self.buffer.offset(), self.buffer.tail_hash());
        (self.buffer, Position { offset, tail_hash, ..Position::default() })
    }
}
