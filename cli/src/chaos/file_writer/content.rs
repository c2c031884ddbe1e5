//! What a file has, or had, as it was written: rows by their serial numbers, and bytes that are no whole rows.

use super::rows::{HEADER, Rows, RowsOf};

/// The uncompressed bytes of a file, and how they came.
#[derive(Clone, Debug)]
pub(in crate::chaos) struct Content {
    of: RowsOf,
    parts: Vec<Part>,
    length: usize,
    ends_with_line: bool,
    /// Where the file ended without a line end at some time: a reader may have taken what was there as a line.
    pub(in crate::chaos) cuts: Vec<usize>,
    /// How much of it was in the landing directory after it was written. The rest went into a file that was already in
    /// the archive.
    pub(in crate::chaos) landed: usize,
}

#[derive(Clone, Debug)]
enum Part {
    Lines { first: u64, count: u64 },
    Bytes(Vec<u8>),
}

impl Content {
    /// Of a new file, which has its header.
    pub(in crate::chaos) fn new(of: RowsOf) -> Self {
        let parts = vec![Part::Bytes(HEADER.to_vec())];
        Self { of, parts, length: HEADER.len(), ends_with_line: true, cuts: Vec::new(), landed: 0 }
    }

    pub(in crate::chaos) fn of(&self) -> RowsOf {
        self.of
    }

    /// In bytes.
    pub(in crate::chaos) fn length(&self) -> usize {
        self.length
    }

    /// Whether the next byte begins a line.
    pub(in crate::chaos) fn ends_with_line(&self) -> bool {
        self.ends_with_line
    }

    /// Adds whole rows and gives their bytes.
    pub(in crate::chaos) fn add_lines(&mut self, rows: Rows, first: u64, count: u64) -> Vec<u8> {
        let bytes: Vec<u8> = (first..first + count).flat_map(|serial| rows.line(self.of, serial)).collect();
        self.parts.push(Part::Lines { first, count });
        self.length += bytes.len();
        self.ends_with_line = true;
        bytes
    }

    /// Adds bytes that need not be whole rows.
    pub(in crate::chaos) fn add_bytes(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.parts.push(Part::Bytes(bytes.to_vec()));
            self.length += bytes.len();
            self.ends_with_line = *last == b'\n';
        }
    }

    /// A write has ended here.
    pub(in crate::chaos) fn note_end(&mut self) {
        if !self.ends_with_line {
            self.cuts.push(self.length);
        }
    }

    /// The content that is left when the file is cut to `length` bytes.
    pub(in crate::chaos) fn truncated(&self, rows: Rows, length: usize) -> Self {
        let mut left = Self { parts: Vec::new(), length: 0, cuts: Vec::new(), landed: 0, ..self.clone() };
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => left.add_bytes(&bytes[..bytes.len().min(length - left.length)]),
                Part::Lines { first, count } => {
                    for serial in *first..first + count {
                        let line = rows.line(self.of, serial);
                        if left.length + line.len() > length {
                            left.add_bytes(&line[..length - left.length]);
                            break;
                        }
                        left.add_line(serial, line.len());
                    }
                }
            }
            if left.length == length {
                break;
            }
        }
        left.cuts = self.cuts.iter().copied().filter(|cut| *cut < length).collect();
        left.note_end();
        left
    }

    fn add_line(&mut self, serial: u64, length: usize) {
        match self.parts.last_mut() {
            Some(Part::Lines { first, count }) if *first + *count == serial => *count += 1,
            _ => self.parts.push(Part::Lines { first: serial, count: 1 }),
        }
        self.length += length;
        self.ends_with_line = true;
    }

    /// Where the first row ends. What is in front of it identifies the file.
    pub(in crate::chaos) fn first_row_end(&self, rows: Rows) -> usize {
        let bytes = self.bytes(rows);
        let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        ends.nth(1).unwrap_or(self.length)
    }

    /// All of it.
    pub(in crate::chaos) fn bytes(&self, rows: Rows) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length);
        for part in &self.parts {
            match part {
                Part::Bytes(more) => bytes.extend_from_slice(more),
                Part::Lines { first, count } => {
                    bytes.extend((*first..first + count).flat_map(|serial| rows.line(self.of, serial)));
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_content_has_the_first_bytes() {
        let (rows, of) = (Rows::new(1), RowsOf { file: 1, is_quoted: false });
        let mut content = Content::new(of);
        content.add_lines(rows, 5, 4);
        content.add_bytes(b"half a li");
        content.note_end();
        content.add_bytes(b"ne\n");
        content.add_lines(rows, 9, 2);
        let whole = content.bytes(rows);
        assert_eq!(whole.len(), content.length());
        for length in 0..=whole.len() {
            let left = content.truncated(rows, length);
            assert_eq!(left.bytes(rows), whole[..length], "{length}");
            assert_eq!((left.length(), left.cuts.last() == Some(&length)), (length, !left.ends_with_line()));
        }
    }
}
