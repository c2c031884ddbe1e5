//! Whether the stream still has what it acknowledged: a store can be deleted, lose its end in a power failure, or be
//! put back to an older copy. What can be read again is then published again.

use std::time::Duration;

use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind, Stream};
use common::retry;
use common::stream::Incarnation;

use crate::checkpoint::{self, Rewound, Store, StreamPosition};
use crate::file::identity::hash;

/// How often a message is asked for of a broker that is busy, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Whether the stream, which is `now`, lacks what it had acknowledged at `then`. A store that lost its end may have
/// taken as many new messages since, so the message itself is compared; one that was only purged is no loss.
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
        // A user without the permission to read it can only compare the numbers.
        Err(error) => {
            tracing::warn!(%error, "the last acknowledged message cannot be looked at");
            false
        }
    }
}

/// Lets everything that is not closed begin again; how many files can.
pub(crate) fn rewind(store: &Store) -> Result<usize, checkpoint::Error> {
    let Rewound { files, truncated } = store.rewind()?;
    if truncated > 0 {
        tracing::warn!(
            files = truncated,
            "were truncated and cannot be published again: what the stream has lost of them is lost, and their \
             accounts will say so"
        );
    }
    Ok(files)
}
