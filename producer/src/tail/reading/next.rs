//! Record by record: where the next one ends, and what becomes of lines that are none.

use common::event::Reason;
use memchr::memchr;

use super::Reading;
use crate::csv::records::Split;
use crate::file::buffer::Buffer;
use crate::map::{Mapped, RowPosition};
use crate::tail::overlong::Overlong;

impl Reading {
    /// The next record whose end is at hand, as a message.
    pub(crate) fn next(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        if self.overlong.is_some() {
            return self.end_overlong(buffer, finish, written_us);
        }
        if self.in_comment {
            return self.end_comment(buffer, finish, written_us);
        }
        if self.checkpoint.reached.unterminated {
            return self.after_unterminated(buffer, finish, written_us);
        }
        let (rest, _) = self.at_hand(buffer, finish);
        let (skipped, is_unended) = self.splitter.skip(rest, rest.len() < buffer.rest().len());
        buffer.advance(skipped);
        if is_unended {
            // A comment whose end has not come is no row: the position stays before it, and it is not gathered.
            self.in_comment = buffer.rest().len() > self.max_record;
            if self.in_comment {
                self.checkpoint.reached.offset = buffer.offset();
                self.checkpoint.reached.tail_hash = buffer.tail_hash();
                return self.end_comment(buffer, finish, written_us);
            }
            return None;
        }
        let (rest, at_end) = self.at_hand(buffer, finish);
        if rest.is_empty() {
            return None;
        }
        let is_short = rest.len() <= self.max_record;
        match self.splitter.split(rest, at_end, &mut self.fields) {
            Split::Record { end, next } if end <= self.max_record => {
                let position = self.position(buffer.offset(), next, written_us);
                let message = self.mapper.map(&rest[..end], &self.fields, position);
                self.checkpoint.reached.unterminated = end == next;
                buffer.advance(next);
                Some(self.count(message))
            }
            Split::Partial | Split::OpenQuote if is_short && !at_end => None,
            split => {
                self.has_open_quote |= is_short && split == Split::OpenQuote;
                self.line(buffer, finish, written_us)
            }
        }
    }

    /// What may be split, and whether its end counts as a line end. It goes as far as the next place where that was so
    /// before.
    fn at_hand<'a>(&self, buffer: &'a Buffer, finish: bool) -> (&'a [u8], bool) {
        let (rest, offset) = (buffer.rest(), buffer.offset());
        let length = |cut| usize::try_from(cut - offset).ok();
        let before_cut =
            self.checkpoint.next_cut(offset).and_then(length).and_then(|length| rest.get(..length));
        before_cut.map_or((rest, finish), |rest| (rest, true))
    }

    /// Rejects one physical line, so that what is wrong with it does not swallow the lines after it.
    fn line(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, at_end) = self.at_hand(buffer, finish);
        let next = memchr(b'\n', rest).map(|end| end + 1).or_else(|| at_end.then_some(rest.len()));
        let Some(next) = next.filter(|next| *next <= self.max_record) else {
            self.overlong = Some(Overlong::new(buffer.offset(), self.max_record));
            // The position stays before the line while its end is not there; the rows of this turn are before it.
            self.checkpoint.reached.offset = buffer.offset();
            self.checkpoint.reached.tail_hash = buffer.tail_hash();
            return self.end_overlong(buffer, finish, written_us);
        };
        let position = self.position(buffer.offset(), next, written_us);
        let (raw, ended) = without_line_end(&rest[..next]);
        self.checkpoint.reached.unterminated = !ended;
        let message =
            format!("the record is longer than {} bytes, or a quote is never closed", self.max_record);
        let message = self.mapper.refuse(raw, position, Reason::RecordTooLong, message);
        buffer.advance(next);
        Some(self.count(message))
    }

    /// Passes over a comment that is longer than a record may be.
    fn end_comment(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, _) = self.at_hand(buffer, finish);
        let end = memchr(b'\n', rest);
        self.in_comment = end.is_none() && rest.len() == buffer.rest().len();
        let passed = end.map_or(rest.len(), |end| end + 1);
        buffer.advance(passed);
        if self.in_comment { None } else { self.next(buffer, finish, written_us) }
    }

    fn end_overlong(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, at_end) = self.at_hand(buffer, finish);
        let end = memchr(b'\n', rest);
        if let Some(line) = &mut self.overlong {
            line.add(&rest[..end.unwrap_or(rest.len())]);
        }
        let passed = end.map_or(rest.len(), |end| end + 1);
        buffer.advance(passed);
        if end.is_none() && !at_end {
            return None;
        }
        let line = self.overlong.take()?;
        let mut position = self.position(line.start, 0, written_us);
        position.byte_end = buffer.offset();
        self.checkpoint.reached.unterminated = end.is_none();
        let message = format!("the line is longer than {} bytes", self.max_record);
        let (head, whole) = line.end();
        let message = self.mapper.refuse_beginning(&head, whole, position, Reason::RecordTooLong, message);
        Some(self.count(message))
    }

    /// The last record was taken without its line end. When that comes, all is well; when more of the line comes, the
    /// record was taken too early, and the rest of the line cannot be a row. Of a rest without end each piece is one.
    fn after_unterminated(&mut self, buffer: &mut Buffer, finish: bool, written_us: i64) -> Option<Mapped> {
        let (rest, at_end) = self.at_hand(buffer, finish);
        let near = &rest[..rest.len().min(self.max_record)];
        let next = match memchr(b'\n', near) {
            Some(end) => end + 1,
            None if near.is_empty() || near == b"\r" => return None,
            None if at_end || near.len() == self.max_record => near.len(),
            None => return None,
        };
        let position = self.position(buffer.offset(), next, written_us);
        let (line, ended) = without_line_end(&near[..next]);
        let message = (!line.is_empty()).then(|| {
            let message =
                "the line before was taken as finished, since nothing followed for finish_after".to_owned();
            self.mapper.refuse(line, position, Reason::LineContinued, message)
        });
        buffer.advance(next);
        self.checkpoint.reached.unterminated = !ended;
        match message {
            Some(message) => Some(self.count(message)),
            None => self.next(buffer, finish, written_us),
        }
    }

    fn position(&self, byte_start: u64, length: usize, written_us: i64) -> RowPosition {
        RowPosition {
            file: self.checkpoint.file_id,
            row: self.checkpoint.reached.row + 1,
            byte_start,
            byte_end: byte_start + length as u64,
            written_us,
        }
    }

    fn count(&mut self, message: Mapped) -> Mapped {
        let reached = &mut self.checkpoint.reached;
        reached.row += 1;
        match &message.rejected {
            None => reached.published += 1,
            Some(why) => {
                if self.first_rejected.is_none() && reached.rejected == self.rejected_before {
                    self.first_rejected = Some(format!("row {}, {}", reached.row, why.1));
                }
                reached.rejected += 1;
            }
        }
        message
    }
}

/// The line, and whether it had an end.
fn without_line_end(line: &[u8]) -> (&[u8], bool) {
    match line.strip_suffix(b"\n") {
        Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), true),
        None => (line, false),
    }
}
