//! A line that is longer than a record may be. It is read in pieces, and only its beginning is kept.

use crate::map::RowDigest;

/// A line whose end has not been read.
#[derive(Debug)]
pub(crate) struct Overlong {
    /// The file's offset of its first byte.
    pub start: u64,
    most: usize,
    head: Vec<u8>,
    whole: RowDigest,
    /// The last piece ended with a CR, which may belong to the line end.
    holds_return: bool,
}

impl Overlong {
    /// A line that begins at `start`, of which `most` bytes are kept.
    pub(crate) fn new(start: u64, most: usize) -> Self {
        Self { start, most, head: Vec::new(), whole: RowDigest::default(), holds_return: false }
    }

    /// The next piece, without a line feed.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if std::mem::take(&mut self.holds_return) {
            self.push(b"\r");
        }
        let line = piece.strip_suffix(b"\r").unwrap_or(piece);
        self.holds_return = line.len() < piece.len();
        self.push(line);
    }

    /// The line's beginning and the digest of all of it, without its line end.
    pub(crate) fn end(self) -> (Vec<u8>, RowDigest) {
        (self.head, self.whole)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(&bytes[..bytes.len().min(self.most - self.head.len())]);
        self.whole.add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_carriage_return_is_part_of_the_line_end() {
        let mut line = Overlong::new(0, 4);
        for piece in [&b"ab\r"[..], b"\r", b"", b"cd\r"] {
            line.add(piece);
        }
        let (head, whole) = line.end();
        assert_eq!((&head[..], whole.to_string()), (&b"ab\r\r"[..], RowDigest::of(b"ab\r\rcd").to_string()));
    }
}
