//! Rejected rows on their way to a person and back: rows leave as a file that can be edited, and the edited file comes
//! back into the landing directory.
//!
//! There it is a file like any other, whose rows have origins of their own. What it adds is its first column, which
//! says which rejected row each of its rows takes the place of.

mod again; // a rejected row -> its bytes, where the table has them not
mod write; // rejected rows -> a file that can be edited
mod check; // an edited file -> how many rows it has
mod land; // an edited file -> the landing directory

pub use again::{Again, Error as AgainError};
pub use check::{Error as CheckError, check};
pub use land::land;
pub use write::Export;

pub use crate::land::Error;
