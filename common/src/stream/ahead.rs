//! The durable must not stand beyond the end of its stream.
//!
//! A store that lost its end in a power failure, or was put back to an older copy, can leave a durable that has
//! delivered more than the stream holds. What is published then takes sequences which it takes for delivered, and
//! nobody would ever read that. nats-server mends it by itself at its start, from 2.14 on.

use std::time::Duration;

use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;

use super::{DURABLE, Error};

/// How often is looked, and the pause between: the leader of a stream in a cluster may be behind for a moment.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// Deletes the durable of `stream` where it is ahead. Whoever reads by it makes it anew, from the first message on;
/// whoever publishes has to see to it first, because what it publishes would hide that the durable was ahead.
pub(super) async fn forget(stream: &mut Stream) -> Result<(), Error> {
    for look in 1.. {
        let Some(delivered) = delivered(stream).await? else { return Ok(()) };
        // What was known of the stream before that may be too old.
        if delivered <= stream.cached_info().state.last_sequence
            || delivered <= stream.info().await?.state.last_sequence
        {
            return Ok(());
        }
        if look == LOOKS {
            tracing::warn!(
                delivered,
                stream_last = stream.cached_info().state.last_sequence,
                "the durable consumer {DURABLE} is ahead of the stream, which lost its end; reading again from the \
                 first message, rows that were read before are recognised"
            );
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    stream.delete_consumer(DURABLE).await?;
    Ok(())
}

/// The last sequence that the durable has delivered or taken for acknowledged; `None` where there is no durable.
async fn delivered(stream: &Stream) -> Result<Option<u64>, Error> {
    match stream.consumer_info(DURABLE).await {
        Ok(info) => Ok(Some(info.delivered.stream_sequence.max(info.ack_floor.stream_sequence))),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
