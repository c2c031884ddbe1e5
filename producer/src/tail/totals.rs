//! The totals of a file. A checkpoint enters, a message leaves.

use async_nats::Subject;
use common::stream;
use common::wire::{FileMessage, FileState, VERSION};

use crate::checkpoint::Checkpoint;
use crate::file::Position;
use crate::map::{Mapped, Mapping};

/// The longest header that is sent, in bytes.
const LONGEST_HEADER: usize = 64 << 10;

/// The totals of what was read so far. A higher `revision` replaces a lower one.
pub(crate) fn message(checkpoint: &Checkpoint, mapping: &Mapping, state: FileState, revision: i64) -> Mapped {
    let Position { row, published, rejected, offset, .. } = checkpoint.farthest();
    let message = FileMessage {
        v: VERSION,
        file_id: checkpoint.file_id,
        revision,
        path: checkpoint.path.to_string_lossy().into_owned(),
        source: mapping.source.clone(),
        bytes: offset.cast_signed(),
        state,
        rows_read: row,
        published,
        rejected,
        header: header(mapping),
        delimiter: Some(char::from(mapping.delimiter)),
    };
    let payload = serde_json::to_vec(&message).unwrap_or_default().into();
    Mapped { subject: Subject::from_static(stream::FILE), payload, rejected: None }
}

/// Empty if the names are so long that the totals might not fit a message.
fn header(mapping: &Mapping) -> Vec<String> {
    if mapping.header.iter().map(String::len).sum::<usize>() > LONGEST_HEADER {
        return Vec::new();
    }
    // PostgreSQL can store no NUL.
    mapping.header.iter().map(|name| name.replace('\0', "\u{2400}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use common::FileId;
    use common::config::{Config, Source};

    use super::*;
    use crate::file::identity::Identity;

    /// The header in the totals of a file that has two columns more than `extra`.
    fn header_sent(extra: &str) -> Vec<String> {
        let identity = Identity { inode: 1, head_length: 1, head_hash: 1, incarnation: 0 };
        let checkpoint = Checkpoint::new(FileId::from(42), identity, Path::new("a.csv"));
        let header = ["event_type", "ts", extra].map(str::to_owned).into();
        let mapping = Mapping::resolve(&Config::default(), &Source::default(), b';', header).unwrap();
        let sent = message(&checkpoint, &mapping, FileState::Open, 7);
        let totals: FileMessage = serde_json::from_slice(&sent.payload).unwrap();
        assert_eq!((totals.file_id, totals.revision, totals.delimiter), (FileId::from(42), 7, Some(';')));
        totals.header
    }

    #[test]
    fn totals_have_the_header_unless_it_is_too_long_for_a_message() {
        assert_eq!(header_sent("note"), ["event_type", "ts", "note"]);
        assert_eq!(header_sent("no\0te"), ["event_type", "ts", "no\u{2400}te"]);
        let longest = "x".repeat((64 << 10) - "event_typets".len());
        assert_eq!(header_sent(&longest)[2], longest);
        assert!(header_sent(&(longest + "x")).is_empty());
    }
}
