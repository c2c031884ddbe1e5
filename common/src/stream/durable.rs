//! How far consumers have come in the stream, as the broker reports it.

use std::time::Duration;

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::{self, stream};

use super::{DURABLE, Error, Incarnation, StreamPosition, find, incarnation};

/// How often a durable that is ahead is looked at, and the pause between: the leader of a stream in a cluster may be
/// behind for a moment.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// The state of one durable consumer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Durable {
    /// The last sequence that was delivered to a client, or counts as acknowledged.
    pub delivered: u64,
    /// Everything up to this sequence was acknowledged; 0 where nothing was.
    pub acknowledged: u64,
    /// Everything up to this sequence may be purged. In contrast to `acknowledged`, a durable that has delivered
    /// nothing has a floor, too: where it begins to read.
    pub floor: u64,
    /// Messages that were not delivered to any client yet.
    pub pending: u64,
    /// Messages that were delivered and are not acknowledged.
    pub unacknowledged: u64,
    /// Requests for messages that the broker has not answered yet.
    pub requests: usize,
    /// Whether so many messages are unacknowledged that the broker delivers no more.
    pub is_full: bool,
}

impl From<&Info> for Durable {
    fn from(info: &Info) -> Self {
        let floor = info.ack_floor.stream_sequence;
        Self {
            delivered: info.delivered.stream_sequence.max(floor),
            acknowledged: if info.ack_floor.consumer_sequence == 0 { 0 } else { floor },
            floor,
            pending: info.num_pending,
            unacknowledged: info.num_ack_pending as u64,
            requests: info.num_waiting,
            is_full: i64::try_from(info.num_ack_pending)
                .is_ok_and(|pending| pending >= info.config.max_ack_pending),
        }
    }
}

/// The state of the durable that all replicas share; `None` where there is none.
pub async fn durable<I>(stream: &stream::Stream<I>) -> Result<Option<Durable>, Error> {
    Ok(consumer_info(stream, DURABLE).await?.as_ref().map(Durable::from))
}

/// Configuration and state of a consumer; `None` where there is none of that name.
pub async fn consumer_info<I>(stream: &stream::Stream<I>, name: &str) -> Result<Option<Info>, Error> {
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The state of the stream and of the durable that all replicas share.
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    pub incarnation: Incarnation,
    messages: u64,
    /// The share of `max_bytes` that is used.
    pub fullness: f64,
    /// `None` where it was not created yet; it will begin with the first message.
    durable: Option<Durable>,
}

impl Status {
    /// The position up to which everything was acknowledged.
    pub fn acknowledged(&self) -> StreamPosition {
        StreamPosition::new(self.incarnation.created, self.durable.map_or(0, |durable| durable.acknowledged))
    }

    /// Messages that were not delivered to any replica yet.
    pub fn pending(&self) -> u64 {
        self.durable.map_or(self.messages, |durable| durable.pending)
    }

    /// Messages that were delivered and are not acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.durable.map_or(0, |durable| durable.unacknowledged)
    }

    /// Messages that are not acknowledged, delivered or not.
    pub fn unread(&self) -> u64 {
        self.pending() + self.unacknowledged()
    }
}

/// The state of stream and durable; `None` where there is no stream.
pub async fn status(jetstream: &jetstream::Context) -> Result<Option<Status>, Error> {
    let Some(stream) = find(jetstream).await? else { return Ok(None) };
    let info = stream.cached_info();
    Ok(Some(Status {
        incarnation: incarnation(info),
        messages: info.state.messages,
        fullness: info.state.bytes as f64 / info.config.max_bytes as f64,
        durable: durable(&stream).await?,
    }))
}

/// Deletes the durable of `stream` where it is beyond the end of the stream. A consumer creates it again, from the
/// first message on; a publisher has to call this first, because what it publishes would hide that the durable was
/// ahead.
///
/// A store that lost its end in a power failure, or was restored from an older copy, can leave a durable that has
/// delivered more than the stream holds. It would take new messages at these sequences for delivered. From 2.14 on,
/// nats-server corrects this by itself when it starts.
pub(super) async fn delete_if_ahead(stream: &mut stream::Stream) -> Result<(), Error> {
    for look in 1.. {
        let Some(Durable { delivered, .. }) = durable(stream).await? else { return Ok(()) };
        // The cached state may be too old.
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
