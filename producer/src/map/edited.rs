//! Edited files: rejected rows that a person has corrected. Their first column is the origin of the rejected row that each
//! row replaces.
//!
//! That column comes first, so that the rest of a row is what it was in its own file: it fills the same columns of the
//! event and makes the same id.

use common::event::ORIGIN_COLUMN;
use common::{NoOrigin, Origin};

use crate::map::{Mapping, with_names};

impl Mapping {
    /// The same mapping, for a file with one more column in front.
    pub(super) fn behind_origin(mut self) -> Self {
        self.header.insert(0, ORIGIN_COLUMN.to_owned());
        self.is_edited = true;
        for field in self.columns.values_mut().chain(&mut self.attributes).chain(&mut self.id_fields) {
            *field += 1;
        }
        self
    }

    /// The mapping of an edited file whose rows come from the file of this one; `None` if its columns are different.
    /// The form of times is settled again, since it may be what was corrected.
    pub(crate) fn of_edited(&self, header: &[String], delimiter: u8) -> Option<Self> {
        let same = Self { delimiter, time_form: None, ..self.clone() };
        let mapping = if self.is_edited { same } else { same.behind_origin() };
        (mapping.header == header || mapping.header == with_names(header.to_vec())).then_some(mapping)
    }
}

/// The delimiter of an edited file that begins with `bytes`, since spreadsheets choose their own. `None` if it is not an
/// edited file.
pub fn delimiter_of_edited(bytes: &[u8]) -> Option<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let quoted = bytes.strip_prefix(b"\"").and_then(|rest| {
        rest.strip_prefix(ORIGIN_COLUMN.as_bytes()).and_then(|rest| rest.strip_prefix(b"\""))
    });
    let rest = quoted.or_else(|| bytes.strip_prefix(ORIGIN_COLUMN.as_bytes()))?;
    rest.first()
        .copied()
        .filter(|sign| *sign == b'\t' || sign.is_ascii_punctuation() && !b"_\"".contains(sign))
}

/// The origin of the rejected row that the first row in `record` replaces, by its first field.
pub fn origin_of(record: &[u8], delimiter: u8) -> Result<Origin, NoOrigin> {
    let field = record.split(|byte| *byte == delimiter).next().unwrap_or_default();
    String::from_utf8_lossy(field).trim().trim_matches('"').parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_file_is_known_by_its_first_column_whatever_separates_it() {
        for (head, delimiter) in [
            (&b"millrace_origin,a,b\n"[..], Some(b',')),
            (b"\xef\xbb\xbfmillrace_origin;a;b\r\n", Some(b';')),
            (b"\"millrace_origin\"\t\"a\"", Some(b'\t')),
            (b"millrace_origin", None),
            (b"millrace_origin_2,a", None),
            (b"a,millrace_origin", None),
        ] {
            assert_eq!(delimiter_of_edited(head), delimiter, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn an_origin_is_the_first_field_of_any_bytes() {
        let origin: Origin = "7:3".parse().unwrap();
        for record in [&b"7:3,a,b"[..], b"\"7:3\",\xff\0", b" 7:3 ,\"open", b"7:3"] {
            assert_eq!(origin_of(record, b',').unwrap(), origin);
        }
        assert_eq!(
            origin_of(b"x,7:3", b',').unwrap_err().to_string(),
            "\"x\" is no origin, which is written FILE_ID:ROW"
        );
    }
}
