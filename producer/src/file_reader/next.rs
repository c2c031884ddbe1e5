//! Finds the next record, and rejects lines that are none.

use common::event::Reason;
use memchr::memchr;

use super::{FileReader, Overlong, Row};
use crate::csv::records::Split;
use crate::file::buffer::Buffer;
use crate::map::{Mapped, RowPosition};

impl FileReader {
    pub(super) fn next(&mut self, finish: bool) -> Option<Row> {
        if self.overlong.is_some() {
            return self.end_overlong(finish);
        }
        if self.in_comment {
            return self.end_comment(finish);
        }
        if self.position.unterminated {
            return self.after_unterminated(finish);
        }
        let (rest, _) = at_hand(&self.buffer, &self.forced_ends, finish);
        let (skipped, is_unended) = self.splitter.skip(rest, rest.len() < self.buffer.rest().len());
        self.buffer.advance(skipped);
        if is_unended {
            // A comment whose end has not come is no row: the position stays before it, and it is not gathered.
            self.in_comment = self.buffer.rest().len() > self.max_record;
            if self.in_comment {
                self.position = self.here();
                return self.end_comment(finish);
            }
            return None;
        }
        let (rest, at_end) = at_hand(&self.buffer, &self.forced_ends, finish);
        if rest.is_empty() {
            return None;
        }
        let is_short = rest.len() <= self.max_record;
        match self.splitter.split(rest, at_end, &mut self.fields) {
            Split::Record { end, next } if end <= self.max_record => {
                let position = self.row_position(self.buffer.offset(), next);
                let message = self.mapper.map(&rest[..end], &self.fields, position);
                self.position.unterminated = end == next;
                self.buffer.advance(next);
                Some(self.count(position, message))
            }
            Split::Partial | Split::OpenQuote if is_short && !at_end => None,
            split => {
                self.has_open_quote |= is_short && split == Split::OpenQuote;
                self.line(finish)
            }
        }
    }

    /// Rejects one physical line, so that what is wrong with it does not swallow the lines after it.
    fn line(&mut self, finish: bool) -> Option<Row> {
        let (rest, at_end) = at_hand(&self.buffer, &self.forced_ends, finish);
        let next = memchr(b'\n', rest).map(|end| end + 1).or_else(|| at_end.then_some(rest.len()));
        let Some(next) = next.filter(|next| *next <= self.max_record) else {
            self.overlong = Some(Overlong::new(self.buffer.offset(), self.max_record));
            // The position stays before the line while its end is not there; the rows of this turn are before it.
            self.position = self.here();
            return self.end_overlong(finish);
        };
        let position = self.row_position(self.buffer.offset(), next);
        let (raw, ended) = without_line_end(&rest[..next]);
        self.position.unterminated = !ended;
        let message =
            format!("the record is longer than {} bytes, or a quote is never closed", self.max_record);
        let message = self.mapper.refuse(raw, position, Reason::RecordTooLong, message);
        self.buffer.advance(next);
        Some(self.count(position, message))
    }

    /// Passes over a comment that is longer than a record may be.
    fn end_comment(&mut self, finish: bool) -> Option<Row> {
        let (rest, _) = at_hand(&self.buffer, &self.forced_ends, finish);
        let end = memchr(b'\n', rest);
        self.in_comment = end.is_none() && rest.len() == self.buffer.rest().len();
        let passed = end.map_or(rest.len(), |end| end + 1);
        self.buffer.advance(passed);
        if self.in_comment { None } else { self.next(finish) }
    }

    fn end_overlong(&mut self, finish: bool) -> Option<Row> {
        let (rest, at_end) = at_hand(&self.buffer, &self.forced_ends, finish);
        let end = memchr(b'\n', rest);
        if let Some(line) = &mut self.overlong {
            line.add(&rest[..end.unwrap_or(rest.len())]);
        }
        let passed = end.map_or(rest.len(), |end| end + 1);
        self.buffer.advance(passed);
        if end.is_none() && !at_end {
            return None;
        }
        let line = self.overlong.take()?;
        let mut position = self.row_position(line.start, 0);
        position.byte_end = self.buffer.offset();
        self.position.unterminated = end.is_none();
        let message = format!("the line is longer than {} bytes", self.max_record);
        let (head, whole) = line.end();
        let message = self.mapper.refuse_beginning(&head, whole, position, Reason::RecordTooLong, message);
        Some(self.count(position, message))
    }

    /// The last record was taken without its line end. When that comes, all is well; when more of the line comes, the
    /// record was taken too early, and the rest of the line cannot be a row. Of a rest without end each piece is one.
    fn after_unterminated(&mut self, finish: bool) -> Option<Row> {
        let (rest, at_end) = at_hand(&self.buffer, &self.forced_ends, finish);
        let near = &rest[..rest.len().min(self.max_record)];
        let next = match memchr(b'\n', near) {
            Some(end) => end + 1,
            None if near.is_empty() || near == b"\r" => return None,
            None if at_end || near.len() == self.max_record => near.len(),
            None => return None,
        };
        let position = self.row_position(self.buffer.offset(), next);
        let (line, ended) = without_line_end(&near[..next]);
        let message = (!line.is_empty()).then(|| {
            let message =
                "the line before was taken as finished, since nothing followed for finish_after".to_owned();
            self.mapper.refuse(line, position, Reason::LineContinued, message)
        });
        self.buffer.advance(next);
        self.position.unterminated = !ended;
        match message {
            Some(message) => Some(self.count(position, message)),
            None => self.next(finish),
        }
    }

    fn row_position(&self, byte_start: u64, length: usize) -> RowPosition {
        RowPosition {
            file: self.file_id,
            row: self.position.row + 1,
            byte_start,
            byte_end: byte_start + length as u64,
            written_us: self.written_us,
        }
    }

    fn count(&mut self, position: RowPosition, message: Mapped) -> Row {
        self.position.row += 1;
        if message.rejected.is_none() {
            self.position.published += 1;
        } else {
            self.position.rejected += 1;
        }
        Row { position, message }
    }
}

/// What may be split, and whether its end counts as a line end. It goes as far as the next forced end.
fn at_hand<'a>(buffer: &'a Buffer, forced_ends: &[u64], finish: bool) -> (&'a [u8], bool) {
    let (rest, offset) = (buffer.rest(), buffer.offset());
    let forced_end = forced_ends.iter().find(|end| **end > offset);
    let length = forced_end.and_then(|end| usize::try_from(end - offset).ok());
    let before = length.and_then(|length| rest.get(..length));
    before.map_or((rest, finish), |before| (before, true))
}

/// The line, and whether it had an end.
fn without_line_end(line: &[u8]) -> (&[u8], bool) {
    match line.strip_suffix(b"\n") {
        Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), true),
        None => (line, false),
    }
}
