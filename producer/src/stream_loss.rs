//! Detects whether the stream has lost messages that it had acknowledged: its store can be deleted, lose its end in a power
//! failure, or be replaced by an older copy. Files that can be read again are then published again.

use std::time::Duration;

use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind, Stream};
use common::retry;
use common::stream::Incarnation;

use crate::checkpoint::{self, Rewound, Store, StreamPosition};
use crate::file::identity::hash;

/// How often a message is requested from a busy broker, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Whether the stream, which is `now`, lacks what it had acknowledged at `then`. A store that has lost its end may have
/// stored as many new messages since, so the message itself is compared. A purged message is no loss.
pub(crate) async fn is_lost(stream: &Stream, now: Incarnation, then: &StreamPosition) -> bool {
    if now.created != then.created || now.last_sequence < then.last_sequence {
        return true;
    }
    if then.last_sequence < now.first_sequence {
        return false;
    }
    let passes = |error: &LastRawMessageError| error.kind() != LastRawMessageErrorKind::NoMessageFound;
    match retry::at_most(TRIES, PAUSE, passes, || stream.get_raw_message(then.last_sequence)).await {
        Ok(message) => then.last_hash.is_some_and(|ours| ours != hash(&message.payload)),
        // Purged meanwhile.
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => false,
        // Without the permission to read messages, only the sequences are compared.
        Err(error) => {
            tracing::warn!(%error, "the last acknowledged message cannot be read");
            false
        }
    }
}

/// Lets every file that is not closed be read again from its start. Returns how many files can be.
pub(crate) fn rewind(store: &Store) -> Result<usize, checkpoint::Error> {
    let Rewound { files, truncated } = store.rewind()?;
    if truncated > 0 {
        tracing::warn!(
            files = truncated,
            "were truncated and cannot be published again: what the stream has lost of them is lost, and their \
             totals will show it"
        );
    }
    Ok(files)
}
