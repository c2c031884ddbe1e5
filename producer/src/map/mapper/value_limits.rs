//! Limits of rows and values that PostgreSQL can store, and the rejections of those beyond them.

use common::event::{COLUMNS, Reason};

use super::Mapper;
use crate::csv::records::Field;
use crate::map::reject::Rejection;
use crate::map::values::Refusal;

/// The longest value of a column that PostgreSQL has an index on (`sql/migrations/0002_indexes.sql`), in bytes. An entry
/// of a B-tree index holds 2,704 bytes with its header: <https://www.postgresql.org/docs/current/btree.html>.
const LONGEST_INDEXED: usize = 2_600;
/// How much of a value that is too long is shown, in characters.
const SHOWN: usize = 40;

impl Mapper {
    pub(super) fn check_shape(&self, record: &str, fields: &[Field]) -> Result<(), Rejection> {
        if memchr::memchr(0, record.as_bytes()).is_some() {
            return Err(Rejection::of_row(
                Reason::NulCharacter,
                "the row holds a NUL character, which text cannot".to_owned(),
            ));
        }
        let (found, wanted) = (fields.len(), self.mapping.header.len());
        let reason = match found.cmp(&wanted) {
            std::cmp::Ordering::Less => Reason::TooFewFields,
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Greater => Reason::TooManyFields,
        };
        Err(Rejection::of_row(reason, format!("{found} fields where the header has {wanted}")))
    }

    pub(super) fn missing(&self, column: usize) -> Rejection {
        self.at_column(column, "", (Reason::MissingValue, "is empty, but every row needs it".to_owned()))
    }

    /// Refuses a value that an index cannot hold.
    pub(super) fn check_length(&self, column: usize, value: Option<&str>) -> Result<(), Rejection> {
        let Some(value) = value.filter(|value| value.len() > LONGEST_INDEXED) else { return Ok(()) };
        let length = value.len();
        let what = format!("… has {length} bytes; this column is indexed and takes {LONGEST_INDEXED}");
        let shown: String = value.chars().take(SHOWN).collect();
        Err(self.at_column(column, &shown, (Reason::ValueTooLong, what)))
    }

    pub(super) fn at_column(&self, column: usize, value: &str, (reason, what): Refusal) -> Rejection {
        let column_name = COLUMNS[column];
        let name = self.fields[column].map_or(column_name, |field| self.mapping.header[field].as_str());
        Rejection {
            reason,
            column: Some(column_name),
            value: Some(value.to_owned()),
            message: format!("column {name}: \"{value}\" {what}"),
            whole: None,
        }
    }
}
