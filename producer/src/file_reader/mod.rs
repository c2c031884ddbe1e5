//! Reads the rows of one file. The tailer and all commands read files with this, so that they get the same rows. What enters
//! is a file and its [`RowFormat`]; what leaves are messages, each with the position of its row.
//!
//! A file that is read for the first time is a [`NewFile`] until its header is found.

mod new_file; // a path -> header and mapping
mod next; // bytes -> the next row
mod overlong; // lines that are longer than a record may be

use std::io;
use std::path::Path;
use std::sync::Arc;

use common::FileId;

use crate::csv::records::{Field, Splitter};
use crate::file::Position;
use crate::file::buffer::Buffer;
use crate::file::content::Got;
use crate::map::{Limits, Mapped, Mapper, Mapping, RowPosition};
pub(crate) use new_file::{NewFile, NoHeader};
use overlong::Overlong;

/// What decides which rows a file has. It is set when the file is read for the first time, and pinned in its checkpoint.
#[derive(Clone, Debug)]
pub struct RowFormat {
    pub file_id: FileId,
    pub mapping: Arc<Mapping>,
    pub limits: Limits,
    /// Offsets at which the file was finished in the middle of a line, or within an open quote. Rows end there again when the
    /// file is read again, or other rows would get the same numbers.
    pub forced_ends: Vec<u64>,
}

#[derive(Debug)]
pub struct Row {
    pub position: RowPosition,
    pub message: Mapped,
}

#[derive(Debug)]
pub struct FileReader {
    /// The file's modification time, in microseconds since 1970, for rows that are read from now on.
    pub(crate) written_us: i64,
    /// As in its [`RowFormat`].
    pub(crate) forced_ends: Vec<u64>,
    pub buffer: Buffer,
    file_id: FileId,
    /// Where the file ends for this reader, in bytes.
    end: Option<u64>,
    got: Got,
    /// Behind the last row; the offset counts only while a long line is passed, and is that of its beginning.
    position: Position,
    /// The position and the buffer's offset before the last row, and whether that was within a long line.
    before: (Position, u64, bool),
    mapper: Mapper,
    splitter: Splitter,
    fields: Vec<Field>,
    max_record: usize,
    /// A line that is longer than a record may be, while its end has not been read.
    overlong: Option<Overlong>,
    /// Whether a comment is passed that is longer than a record may be, while its end has not been read.
    in_comment: bool,
    /// Whether a line was rejected only because the bytes ended before its quote was closed.
    has_open_quote: bool,
}

impl FileReader {
    /// Reads on behind `position`, where `buffer` is open.
    pub(crate) fn new(format: RowFormat, position: Position, buffer: Buffer) -> Self {
        let mut mapping = Mapping::clone(&format.mapping);
        if position.row == 0 {
            // The first rows settle it, as they did when they were read for the first time.
            mapping.time_form = None;
        }
        Self {
            written_us: 0,
            file_id: format.file_id,
            buffer,
            end: None,
            got: Got::More,
            position,
            before: (position, 0, false),
            forced_ends: format.forced_ends,
            splitter: Splitter { delimiter: mapping.delimiter, comment: mapping.comment },
            mapper: Mapper::new(mapping, format.limits.max_payload),
            fields: Vec::new(),
            max_record: format.limits.max_record_bytes,
            overlong: None,
            in_comment: false,
            has_open_quote: false,
        }
    }

    /// Opens the file at `path` behind `position`.
    pub fn open(path: &Path, format: RowFormat, position: Position) -> io::Result<Self> {
        let (buffer, stat) = Buffer::open(path, &position)?;
        Ok(Self { written_us: stat.written_us, ..Self::new(format, position, buffer) })
    }

    /// Ends at the file's offset `end`, whatever follows there.
    pub(crate) fn up_to(self, end: u64) -> Self {
        Self { end: Some(end), ..self }
    }

    /// Goes on at `position`, where `buffer` is open.
    pub(crate) fn reopen(&mut self, position: Position, buffer: Buffer) {
        self.buffer = buffer;
        self.position = position;
        // Lines whose end was not there are read from their beginning.
        self.overlong = None;
        self.in_comment = false;
    }

    /// Begins again at `start`, which is behind the header, as soon as the file is opened again.
    pub(crate) fn rewind(&mut self, start: Position) {
        self.reopen(start, Buffer::default());
        self.mapper.rewind();
    }

    pub(crate) fn fill(&mut self) -> io::Result<Got> {
        self.has_open_quote = false;
        self.got = self.buffer.fill()?;
        if self.end.is_some_and(|end| self.buffer.cut(end)) {
            self.got = Got::End;
        }
        Ok(self.got)
    }

    /// The next row whose end is at hand. With `at_end` the end of the bytes at hand is a line end too.
    pub(crate) fn next_at_hand(&mut self, at_end: bool) -> Option<Row> {
        self.before = (self.position, self.buffer.offset(), self.is_within_line());
        self.next(at_end)
    }

    /// The next row of a file that is read as a whole; `None` at its end.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        loop {
            let row = self.next_at_hand(self.got == Got::End);
            if row.is_some() || self.got != Got::More {
                return Ok(row);
            }
            self.fill()?;
        }
    }

    /// Whether a compressed file stopped before its end.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.got == Got::Unfinished
    }

    /// Goes back to where [`Self::next_at_hand`] was called last.
    pub(crate) fn step_back(&mut self) {
        let (position, offset, is_within_line) = self.before;
        self.position = position;
        if is_within_line {
            // The position is that of the line's beginning, which the buffer may have passed: the file has to be
            // opened again.
            self.in_comment = true;
        } else {
            self.buffer.move_back(offset);
        }
    }

    /// Behind the last row, or before a long line whose end has not been read.
    pub fn position(&self) -> Position {
        if self.is_within_line() { self.position } else { self.here() }
    }

    /// The mapping, with what the rows so far have settled.
    pub(crate) fn mapping(&self) -> &Mapping {
        self.mapper.mapping()
    }

    /// Whether the rows could be others if more bytes had followed.
    pub(crate) fn ends_within_line(&self) -> bool {
        self.position.unterminated || self.has_open_quote
    }

    fn is_within_line(&self) -> bool {
        self.overlong.is_some() || self.in_comment
    }

    fn here(&self) -> Position {
        Position { offset: self.buffer.offset(), tail_hash: self.buffer.tail_hash(), ..self.position }
    }
}

#[cfg(test)]
mod tests {
    use common::config::Config;

    use super::*;
    use crate::map::{MappingRules, MaxPayload};

    #[test]
    fn a_row_has_its_bytes_and_is_the_same_row_after_a_step_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let rows = ["view,2024-01-01 00:00:00\n", "\n\nview,soon\r\n", "view,2024-01-01 00:00:01"];
        let text = "event,time\n".to_owned() + &rows.concat();
        std::fs::write(&path, &text).unwrap();
        let rules = MappingRules::new(&Config::default(), MaxPayload::DEFAULT);
        let (mut file, _) = NewFile::open(&rules, &path, &path).unwrap();
        let head = file.read_head().unwrap();
        let mapping = Arc::new(file.mapping(&rules, &head, None).unwrap());
        let (buffer, start) = file.into_rows(&head);
        let format =
            RowFormat { file_id: 7.into(), mapping, limits: rules.limits(), forced_ends: Vec::new() };
        let mut reader = FileReader::new(format, start, buffer);
        for line in rows.map(str::trim_start) {
            let row = reader.next_row().unwrap().unwrap();
            reader.step_back();
            let again = reader.next_row().unwrap().unwrap();
            assert_eq!((again.position.row, again.message.payload), (row.position.row, row.message.payload));
            let bytes = reader.buffer.bytes(again.position.byte_start, again.position.byte_end);
            assert_eq!(bytes, Some(line.as_bytes()));
        }
        assert!(reader.next_row().unwrap().is_none());
        let Position { row, published, rejected, offset, .. } = reader.position();
        assert_eq!((row, published, rejected, offset), (3, 2, 1, text.len() as u64));
    }
}
