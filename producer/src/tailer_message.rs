//! What is sent to the tailer: by `tail/watch.rs`, `closed`, `unread` and `publish`.

use std::path::PathBuf;

use common::FileId;
use common::wire::ClosedFile;

#[derive(Debug)]
pub(crate) enum TailerMessage {
    /// This file was changed, added, renamed or removed.
    Changed(PathBuf),
    /// Every row of these totals is in a table.
    Closed(FileId, ClosedFile),
    /// Consumers have read everything that was in the stream.
    NothingUnread,
    /// The stream has lost data: everything that is not closed is read again, as this generation.
    Rewind(u64),
}
