//! Whether the stream still has what it acknowledged: a store can be deleted, lose its end in a power failure, or be
//! put back to an older copy.

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use common::stream::Incarnation;

use crate::checkpoint::StreamPosition;
use crate::tail::identity::hash;

/// Whether the stream, which is `now`, lacks what it had acknowledged at `then`. A store that lost its end may have
/// taken as many new messages since, so the message itself is compared; one that was only purged is no loss.
pub(crate) async fn is_lost(stream: &Stream, now: Incarnation, then: &StreamPosition) -> bool {
    if now.created != then.created || now.last_sequence < then.last_sequence {
        return true;
    }
    if then.last_sequence < now.first_sequence {
        return false;
    }
    match stream.get_raw_message(then.last_sequence).await {
        Ok(message) => then.last_hash.is_some_and(|ours| ours != hash(&message.payload)),
        // Purged meanwhile. Whoever cannot look, for want of a permission say, sees only the numbers.
        Err(error) => {
            if error.kind() != LastRawMessageErrorKind::NoMessageFound {
                tracing::warn!(%error, "the last acknowledged message cannot be looked at");
            }
            false
        }
    }
}
