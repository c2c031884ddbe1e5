//! CSV as bytes: `records` finds where a record and its fields end, `header` finds the column names.

pub(crate) mod header;
pub mod records;
