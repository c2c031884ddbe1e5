//! What wakes the tailer. Notifications of the file system, `closed` and `publish` send it.

use std::path::PathBuf;

use common::FileId;
use common::wire::ClosedFile;

#[derive(Debug)]
pub(crate) enum Wake {
    /// Something happened to this file.
    Changed(PathBuf),
    /// Every row of these totals is in a table.
    Closed(FileId, ClosedFile),
    /// The stream lost data: everything that is not closed is read again, as this generation.
    Rewind(u64),
}
