//! The head of a file: its header and the first record, by which it is identified.

use crate::csv::records::{Split, Splitter};

/// How much of a first record that has no end counts for the file's identity.
const ENOUGH: usize = 64 << 10;
/// How many bytes of blank and comment lines may stand before the header.
const LONGEST_PROLOGUE: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub header: Vec<String>,
    /// Between its fields.
    pub delimiter: u8,
    /// Where the first record, or what follows the header, begins.
    pub rows_begin: usize,
    /// Bytes of header and first record.
    pub length: usize,
}

/// Finds the head of a file that begins with `bytes`; `None` while it is not complete. With `at_end`, nothing more will
/// follow. The error is a sentence about the header.
pub(crate) fn find(bytes: &[u8], splitter: Splitter, at_end: bool) -> Result<Option<Head>, String> {
    let mut fields = Vec::new();
    let mut at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let (skipped, is_unended) = splitter.skip(&bytes[at..], at_end);
    at += skipped;
    if (is_unended || at == bytes.len()) && bytes.len() > LONGEST_PROLOGUE {
        return Err(format!("there is no header: the first {LONGEST_PROLOGUE} bytes are blank or comments"));
    }
    if is_unended || at == bytes.len() {
        return Ok(None);
    }
    let (end, next) = match splitter.split(&bytes[at..], at_end, &mut fields) {
        Split::Record { end, next } => (end, next),
        _ if bytes.len() - at < ENOUGH && !at_end => return Ok(None),
        Split::Partial => {
            return Err(format!("the first line is no header: it is longer than {ENOUGH} bytes"));
        }
        Split::OpenQuote => {
            return Err("the first line is no header: a quote in it is never closed".to_owned());
        }
    };
    let line = std::str::from_utf8(&bytes[at..at + end]).map_err(|error| {
        format!("the first line is no header: its byte {} is not UTF-8", error.valid_up_to() + 1)
    })?;
    let header: Vec<String> = fields.iter().map(|field| field.value(line).trim().to_owned()).collect();
    if header.iter().any(|name| name.replace("\r\n", "").contains('\r')) {
        return Err("the first line is no header: it goes on behind a carriage return (CR); end lines with LF or CRLF, \
                    for instance by tr '\\r' '\\n'"
            .to_owned());
    }
    let rows_begin = at + next;
    let (skipped, _) = splitter.skip(&bytes[rows_begin..], at_end);
    let first = rows_begin + skipped;
    let length = match splitter.split(&bytes[first..], at_end, &mut fields) {
        // So many blank lines and comments count as a record.
        _ if skipped >= ENOUGH => rows_begin + ENOUGH,
        _ if bytes.len() == first && !at_end => return Ok(None),
        Split::Record { next, .. } => first + next.min(ENOUGH),
        _ if bytes.len() - first >= ENOUGH => first + ENOUGH,
        _ if at_end => bytes.len(),
        _ => return Ok(None),
    };
    Ok(Some(Head { header, delimiter: splitter.delimiter, rows_begin, length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Splitter = Splitter { delimiter: b',', comment: None };

    #[test]
    fn the_head_is_the_header_and_the_first_record() {
        let head = find(b"\xef\xbb\xbfa, b\r\n1,\"x\ny\"\n2,z\n", COMMA, false).unwrap().unwrap();
        assert_eq!(
            (head.header, head.rows_begin, head.length),
            (vec!["a".to_owned(), "b".to_owned()], 9, 17)
        );
    }

    #[test]
    fn a_head_is_not_settled_before_the_first_record_is_complete() {
        assert_eq!(find(b"a,b\n1,", COMMA, false), Ok(None));
        assert_eq!(find(b"a,b\n", COMMA, false), Ok(None));
        assert_eq!(find(b"a,b\n", COMMA, true).unwrap().unwrap().length, 4);
        assert_eq!(find(b"", COMMA, true), Ok(None));
    }

    #[test]
    fn blank_lines_and_comments_are_not_gathered_for_ever() {
        let hash = Splitter { comment: Some(b'#'), ..COMMA };
        for line in ["\n", "\r\n", "# a comment\n", "#"] {
            let much = line.repeat(LONGEST_PROLOGUE / line.len() + 1);
            let endless = if line == "#" { much.clone() } else { much.clone() + "#" };
            assert!(find(endless.as_bytes(), hash, false).unwrap_err().contains("blank or comments"));
            assert_eq!(find(&endless.as_bytes()[..LONGEST_PROLOGUE / 2], hash, false), Ok(None));
            let behind = find(format!("a,b\n{endless}").as_bytes(), hash, false).unwrap().unwrap();
            assert_eq!((behind.rows_begin, behind.length), (4, 4 + ENOUGH), "{line:?}");
        }
        // What stands before a header is no part of it.
        let late = "# a comment\n".repeat(ENOUGH / 8) + "a,b";
        assert_eq!(find(late.as_bytes(), hash, false), Ok(None));
        assert_eq!(find((late + "\n1,2\n").as_bytes(), hash, false).unwrap().unwrap().header, ["a", "b"]);
    }

    #[test]
    fn bytes_that_are_no_header_are_an_error() {
        assert!(find(b"a,\xff\n1,2\n", COMMA, false).unwrap_err().contains("not UTF-8"));
        assert!(find(b"a,\"b\n1,2\n", COMMA, true).unwrap_err().contains("never closed"));
        assert!(find(b"a,b\r1,2\r", COMMA, true).unwrap_err().contains("carriage return"));
        assert!(find(b"a,b\r1,2\n3,4\n", COMMA, true).unwrap_err().contains("carriage return"));
        assert_eq!(find(b"\"a\r\nb\"\r\n1\r\n", COMMA, true).unwrap().unwrap().header, ["a\r\nb"]);
    }
}
