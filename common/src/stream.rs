//! Names in the broker, and the stream that keeps every message until it has been read.

use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode, kv, stream};
use chrono::{DateTime, Utc};

mod durable;
mod error;
mod foreign;
mod position;
mod reader;
mod until_ready;

use crate::{config, retry};
pub use durable::{Durable, Status, consumer_info, durable, status};
pub use error::Error;
pub use position::StreamPosition;
pub use reader::{Chunk, Reader};
pub use until_ready::until_ready;

/// The stream: rows, rejected rows and totals of files in one order.
pub const STREAM: &str = "EVENTS";
/// Rows are on `events.<event_type>`.
pub const EVENTS: &str = "events";
/// Rejected rows.
pub const REJECTED: &str = "ledger.rejected";
/// Totals of files.
pub const FILE: &str = "ledger.file";
/// The durable consumer that all replicas share.
pub const DURABLE: &str = "warehouse";
/// The durable of a healing, while it reads the stream through.
pub const HEAL: &str = "heal";
/// The bucket in which the consumer announces to the tailer which files are closed; the key is the file's id.
pub const CLOSED: &str = "closed";

/// How long an entry of that bucket stays that no tailer takes. A tailer takes out its own; where it was away for
/// longer, it sends the file's totals again at its start, and the file is announced once more.
pub const CLOSED_FOR: Duration = Duration::from_hours(30 * 24);

/// How often the stream is asked for, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// The subject of an event type: what NATS does not allow in a token becomes `_`. The body keeps the exact type.
pub fn subject_of(event_type: &str) -> String {
    let mut subject = String::with_capacity(EVENTS.len() + 1 + event_type.len());
    subject.push_str(EVENTS);
    subject.push('.');
    subject.extend(event_type.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => c,
        _ => '_',
    }));
    if event_type.is_empty() {
        subject.push('_');
    }
    subject
}

/// Identifies the stream: one that was deleted and created again is another incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    /// When the stream was made.
    pub created: DateTime<Utc>,
    /// The first message's sequence; those before it were purged.
    pub first_sequence: u64,
    /// The last message's sequence.
    pub last_sequence: u64,
}

/// Which process sets up the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The producer, whose `stream.max_bytes` counts.
    Owner,
    /// Any other process.
    Reader,
}

/// For the producer: makes the stream where it is missing, brings `max_bytes` to what is configured, and deletes a
/// durable that is ahead of the stream. A stream that differs in anything else that rows depend on is refused. A
/// broker that has just started, or is busy, may answer too late: that is tried again, a few times.
pub async fn ensure(
    jetstream: &jetstream::Context,
    config: &config::Stream,
) -> Result<(stream::Stream, Incarnation), Error> {
    set_up(jetstream, config, Role::Owner).await
}

/// For everybody but the producer: as [`ensure`], and a stream that is there keeps its limit.
pub async fn open(
    jetstream: &jetstream::Context,
    config: &config::Stream,
) -> Result<(stream::Stream, Incarnation), Error> {
    set_up(jetstream, config, Role::Reader).await
}

async fn set_up(
    jetstream: &jetstream::Context,
    config: &config::Stream,
    role: Role,
) -> Result<(stream::Stream, Incarnation), Error> {
    // Also a refusal may pass: another process has made the stream, with another limit, a moment ago.
    let passes = |error: &Error| !matches!(error, Error::Foreign { .. });
    retry::at_most(TRIES, PAUSE, passes, || Box::pin(set_up_once(jetstream, config, role))).await
}

async fn set_up_once(
    jetstream: &jetstream::Context,
    config: &config::Stream,
    role: Role,
) -> Result<(stream::Stream, Incarnation), Error> {
    let needed = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{EVENTS}.>"), "ledger.>".to_owned()],
        storage: stream::StorageType::File,
        retention: stream::RetentionPolicy::Limits,
        discard: stream::DiscardPolicy::New,
        max_bytes: config.max_bytes,
        num_replicas: config.replicas,
        allow_direct: true,
        ..stream::Config::default()
    };
    let refused = |error| Error::of_limit(config.max_bytes, error);
    let mut made = jetstream.get_or_create_stream(needed.clone()).await.map_err(refused)?;
    let found = made.info().await?.config.clone();
    let differences = foreign::differences(&found, &needed);
    if !differences.is_empty() {
        return Err(Error::Foreign { differences: differences.join("; ") });
    }
    if found.max_bytes != needed.max_bytes {
        let (from, to) = (found.max_bytes, needed.max_bytes);
        if role == Role::Owner {
            tracing::info!(from, to, "changing max_bytes of stream {STREAM}");
            let changed = stream::Config { max_bytes: to, ..found };
            jetstream.update_stream(changed).await.map_err(refused)?;
        } else {
            tracing::debug!(found = from, configured = to, "max_bytes of stream {STREAM} is the producer's");
        }
    }
    durable::delete_if_ahead(&mut made).await?;
    let incarnation = incarnation(made.cached_info());
    Ok((made, incarnation))
}

/// The stream as it is; `None` where there is none.
pub async fn find(jetstream: &jetstream::Context) -> Result<Option<stream::Stream>, Error> {
    match jetstream.get_stream(STREAM).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(known) if known.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            GetStreamErrorKind::JetStream(reason) => Err(reason.into()),
            _ => Err(Error::NotReady(error.into())),
        },
    }
}

/// Reads the incarnation off an info answer.
pub fn incarnation(info: &stream::Info) -> Incarnation {
    let created = info.created;
    let created =
        DateTime::from_timestamp(created.unix_timestamp(), created.nanosecond()).unwrap_or_default();
    let state = &info.state;
    Incarnation { created, first_sequence: state.first_sequence, last_sequence: state.last_sequence }
}

/// The bucket of closed files, made where it is missing.
pub async fn closed_bucket(jetstream: &jetstream::Context) -> Result<kv::Store, Error> {
    if let Ok(store) = jetstream.get_key_value(CLOSED).await {
        return Ok(store);
    }
    let config =
        kv::Config { bucket: CLOSED.to_owned(), history: 1, max_age: CLOSED_FOR, ..kv::Config::default() };
    match jetstream.create_key_value(config).await {
        Ok(store) => Ok(store),
        // Two processes made it at the same time.
        Err(error) => jetstream.get_key_value(CLOSED).await.map_err(|_| Error::Bucket(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::subject_of;

    #[test]
    fn a_subject_holds_one_safe_token() {
        assert_eq!(subject_of("add_to_cart"), "events.add_to_cart");
        assert_eq!(subject_of("a.b c>*é"), "events.a_b_c___");
        assert_eq!(subject_of(""), "events._");
    }
}
