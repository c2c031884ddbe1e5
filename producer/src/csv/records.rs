//! Finds the end of a CSV record, and its fields. Bytes enter, positions of fields leave; nothing is copied.
//!
//! The dialect is that of RFC 4180 as readers commonly bend it: a quote opens a field only at its beginning, two
//! quotes inside are one, what follows a closing quote belongs to the field, a line ends with LF or CRLF. The `csv`
//! crate does not report whether a record is complete, or a quote is still open, so it cannot be used here; a test compares
//! this splitter with it.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Splits records that are separated by line ends into fields.
#[derive(Clone, Copy, Debug)]
pub struct Splitter {
    /// Between fields.
    pub delimiter: u8,
    /// Begins lines that are no records.
    pub comment: Option<u8>,
}

/// What some bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// A record: `end` is behind its last field, `next` behind its line end.
    Record { end: usize, next: usize },
    /// The beginning of a record, unless the file ends here.
    Partial,
    /// A quote that has not been closed so far.
    OpenQuote,
}

/// Where one field lies in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    start: usize,
    end: usize,
    /// Whether quotes inside have to be taken away: the span then includes the outer ones.
    escaped: bool,
}

impl Field {
    /// The value without its quotes.
    pub(crate) fn value<'a>(&self, record: &'a str) -> Cow<'a, str> {
        let raw = &record[self.start..self.end];
        if self.escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }
    }
}

impl Splitter {
    /// How many bytes of blank and comment lines are before the next record, or before such a line that is not complete; and
    /// whether there is one.
    pub(crate) fn skip(self, bytes: &[u8], at_end: bool) -> (usize, bool) {
        let unended = |at| if at_end { (bytes.len(), false) } else { (at, true) };
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            match first {
                b'\n' => at += 1,
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => at += 2,
                b'\r' if bytes.len() == at + 1 => return unended(at),
                sign if Some(sign) == self.comment => match memchr(b'\n', &bytes[at..]) {
                    Some(length) => at += length + 1,
                    None => return unended(at),
                },
                _ => break,
            }
        }
        (at, false)
    }

    /// Finds the record at the beginning of `bytes` and its `fields`. With `at_end` nothing more follows, so that the
    /// end of `bytes` is a line end too.
    pub fn split(self, bytes: &[u8], at_end: bool, fields: &mut Vec<Field>) -> Split {
        fields.clear();
        let mut start = 0;
        loop {
            let (field, stop) = match bytes.get(start) {
                Some(b'"') => match self.quoted(bytes, start, at_end) {
                    Ok(found) => found,
                    Err(split) => return split,
                },
                _ => match memchr2(self.delimiter, b'\n', &bytes[start..]) {
                    Some(length) => (plain(bytes, start, start + length), start + length),
                    None if at_end => (plain(bytes, start, bytes.len()), bytes.len()),
                    None => return Split::Partial,
                },
            };
            fields.push(field);
            match bytes.get(stop) {
                Some(b'\n') => return Split::Record { end: end_of_line(bytes, stop), next: stop + 1 },
                None => return Split::Record { end: end_of_line(bytes, stop), next: stop },
                Some(_) => start = stop + 1,
            }
        }
    }

    /// The field whose opening quote is at `start`, and where its delimiter or line end is.
    fn quoted(self, bytes: &[u8], start: usize, at_end: bool) -> Result<(Field, usize), Split> {
        let mut from = start + 1;
        let mut doubled = false;
        let close = loop {
            let quote = from + memchr(b'"', &bytes[from..]).ok_or(Split::OpenQuote)?;
            match bytes.get(quote + 1) {
                Some(b'"') => {
                    doubled = true;
                    from = quote + 2;
                }
                None if !at_end => return Err(Split::Partial),
                _ => break quote,
            }
        };
        let behind = close + 1;
        let stop = match memchr2(self.delimiter, b'\n', &bytes[behind..]) {
            Some(length) => behind + length,
            None if at_end => bytes.len(),
            None => return Err(Split::Partial),
        };
        let end = if bytes.get(stop) == Some(&self.delimiter) { stop } else { end_of_line(bytes, stop) };
        let clean = !doubled && end == behind;
        let field = if clean {
            Field { start: start + 1, end: close, escaped: false }
        } else {
            Field { start, end, escaped: true }
        };
        Ok((field, stop))
    }
}

fn plain(bytes: &[u8], start: usize, stop: usize) -> Field {
    let last = matches!(bytes.get(stop), None | Some(b'\n'));
    let end = if last { end_of_line(bytes, stop).max(start) } else { stop };
    Field { start, end, escaped: false }
}

/// Where the line ends whose LF, or whose end of data, is at `stop`: before a CR.
fn end_of_line(bytes: &[u8], stop: usize) -> usize {
    if stop > 0 && bytes[stop - 1] == b'\r' { stop - 1 } else { stop }
}

/// Takes the outer quotes away and makes one of two quotes; what follows the closing quote stays as it is.
fn unescape(raw: &str) -> String {
    let mut value = String::with_capacity(raw.len());
    let mut rest = &raw[1..];
    while let Some(quote) = rest.find('"') {
        value.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(behind) => {
                value.push('"');
                rest = behind;
            }
            None => break,
        }
    }
    value.push_str(rest);
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMA: Splitter = Splitter { delimiter: b',', comment: None };

    /// All records of finished bytes; `None` where a quote stays open.
    fn records(text: &str) -> Option<Vec<Vec<String>>> {
        let (mut found, mut fields, mut at) = (Vec::new(), Vec::new(), 0);
        loop {
            at += COMMA.skip(&text.as_bytes()[at..], true).0;
            if at == text.len() {
                return Some(found);
            }
            match COMMA.split(&text.as_bytes()[at..], true, &mut fields) {
                Split::Record { next, .. } => {
                    found.push(fields.iter().map(|field| field.value(&text[at..]).into_owned()).collect());
                    at += next;
                }
                Split::OpenQuote => return None,
                Split::Partial => unreachable!("nothing more comes"),
            }
        }
    }

    fn by_csv_crate(text: &str) -> Vec<Vec<String>> {
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        reader.into_records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    proptest! {
        #[test]
        fn splits_as_the_csv_crate_does(text in "([a,\"]|\n|\r\n){0,40}") {
            if let Some(found) = records(&text) {
                prop_assert_eq!(found, by_csv_crate(&text));
            }
        }

        /// A record is only returned when it is complete, wherever the bytes are cut.
        #[test]
        fn half_a_record_is_never_taken(text in "([a,\"]|\n|\r\n){0,40}", cut in 0usize..40) {
            let mut whole = Vec::new();
            let mut half = Vec::new();
            let cut = cut.min(text.len());
            if let Split::Record { next, .. } = COMMA.split(&text.as_bytes()[..cut], false, &mut half) {
                let all = COMMA.split(text.as_bytes(), true, &mut whole);
                let same = matches!(all, Split::Record { next: whole_next, .. } if whole_next == next);
                prop_assert!(same, "the whole gives {:?}, its beginning {}", all, next);
                prop_assert_eq!(whole, half);
            }
        }
    }

    #[test]
    fn an_open_quote_is_no_unfinished_line() {
        let mut fields = Vec::new();
        assert_eq!(COMMA.split(b"a,b", false, &mut fields), Split::Partial);
        assert_eq!(COMMA.split(b"a,\"b\nc", true, &mut fields), Split::OpenQuote);
        assert_eq!(COMMA.split(b"a,\"b\"", false, &mut fields), Split::Partial);
        assert_eq!(COMMA.split(b"a,\"b\"", true, &mut fields), Split::Record { end: 5, next: 5 });
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        let splitter = Splitter { delimiter: b';', comment: Some(b'#') };
        assert_eq!(splitter.skip(b"\n\r\n# x\na;b\n", false), (7, false));
        assert_eq!(splitter.skip(b"\n# x", false), (1, true));
        assert_eq!(splitter.skip(b"# x", true), (3, false));
    }
}
