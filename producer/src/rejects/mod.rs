//! Rejected rows are written to a file that a person can edit, and the edited file is put into the landing directory.
//!
//! There it is a file like any other, whose rows have their own origins. Its first column is the origin of the rejected row
//! that each row replaces.

mod row_bytes; // a rejected row -> its bytes, if they are not in the table
mod write; // rejected rows -> a file that can be edited
mod check; // an edited file -> how many rows it has
mod land; // an edited file -> the landing directory

pub use check::{Error as CheckError, check};
pub use land::land;
pub use row_bytes::{Error as RowBytesError, RowBytes};
pub use write::Export;

pub use crate::land::Error;
