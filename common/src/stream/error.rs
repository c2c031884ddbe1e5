//! Why the stream, or what belongs to it, cannot be used, and whether that passes by itself.

use async_nats::jetstream::context::{
    ConsumerInfoError, ConsumerInfoErrorKind, CreateStreamError, CreateStreamErrorKind, RequestError,
    RequestErrorKind,
};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, ErrorCode};

use super::{CLOSED, STREAM};
use crate::retry::{Classify, ErrorClass};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no JetStream; a server that has just started is soon ready.
    #[error("nats-server serves no JetStream: it is not ready yet, or was started without it (-js)")]
    Unserved,
    /// The answer is late, or is that the server cannot answer now.
    #[error("nats-server is not ready to serve the stream {STREAM}")]
    NotReady(#[source] Source),
    /// The limit is larger than the broker allows.
    #[error(
        "stream.max_bytes = {max_bytes} is more than nats-server has room for ({reason}); write a smaller one, or give \
         it more: disk space, max_file_store, the limits of the account"
    )]
    NoRoom {
        /// The limit, in bytes.
        max_bytes: i64,
        reason: jetstream::Error,
    },
    /// It was created or changed by someone else, so that rows would be lost or never read.
    #[error(
        "the stream {STREAM} is not as Millrace needs it: {differences}; change it back, or delete it (nats stream rm \
         {STREAM}) and start the producer, which publishes every file again that is not closed"
    )]
    Foreign { differences: String },
    /// The broker refuses it.
    #[error("failed to set up the stream {STREAM}")]
    Stream(#[source] Source),
    /// The bucket could not be made.
    #[error("failed to set up the key-value bucket {CLOSED}")]
    Bucket(#[source] Source),
    /// The user may not do it.
    #[error(
        "nats-server does not allow what is needed: {reason}; see the permissions in the nats.conf of this version"
    )]
    Denied { reason: String },
    /// Asked to stop meanwhile.
    #[error("stopped before nats-server was ready to serve the stream {STREAM}")]
    Stopped,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unserved | Self::NotReady(_) | Self::Bucket(_) => ErrorClass::Transient,
            Self::NoRoom { .. }
            | Self::Foreign { .. }
            | Self::Stream(_)
            | Self::Denied { .. }
            | Self::Stopped => ErrorClass::Stop,
        }
    }
}

impl Error {
    /// Why a stream of this limit could not be made.
    pub(super) fn of_limit(max_bytes: i64, error: CreateStreamError) -> Self {
        match error.kind() {
            CreateStreamErrorKind::JetStream(reason) if lacks_room(&reason) => {
                Self::NoRoom { max_bytes, reason }
            }
            _ => error.into(),
        }
    }
}

fn lacks_room(reason: &jetstream::Error) -> bool {
    matches!(
        reason.error_code(),
        ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED
    )
}

/// Whether the broker may soon answer otherwise. Its codes have the classes of HTTP.
fn passes(reason: &jetstream::Error) -> bool {
    // What is not found was deleted a moment ago, and is made by the next try.
    matches!(reason.code(), 404 | 408 | 500..) && !lacks_room(reason)
}

impl From<jetstream::Error> for Error {
    fn from(reason: jetstream::Error) -> Self {
        if passes(&reason) { Self::NotReady(reason.into()) } else { Self::Stream(reason.into()) }
    }
}

impl From<CreateStreamError> for Error {
    fn from(error: CreateStreamError) -> Self {
        match error.kind() {
            CreateStreamErrorKind::JetStreamUnavailable => Self::Unserved,
            CreateStreamErrorKind::JetStream(reason) => reason.into(),
            CreateStreamErrorKind::TimedOut
            | CreateStreamErrorKind::Response
            | CreateStreamErrorKind::ResponseParse
            | CreateStreamErrorKind::NotFound => Self::NotReady(error.into()),
            _ => Self::Stream(error.into()),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error.kind() {
            RequestErrorKind::NoResponders => Self::Unserved,
            _ => Self::NotReady(error.into()),
        }
    }
}

impl From<ConsumerInfoError> for Error {
    fn from(error: ConsumerInfoError) -> Self {
        match error.kind() {
            ConsumerInfoErrorKind::NoResponders => Self::Unserved,
            ConsumerInfoErrorKind::JetStream(reason) => reason.into(),
            _ => Self::NotReady(error.into()),
        }
    }
}

impl From<ConsumerError> for Error {
    fn from(error: ConsumerError) -> Self {
        match error.kind() {
            ConsumerErrorKind::JetStream(reason) => reason.into(),
            ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => Self::NotReady(error.into()),
            _ => Self::Stream(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream;
    use serde_json::json;

    use super::passes;

    #[test]
    fn an_error_of_a_starting_server_passes_and_a_refusal_does_not() {
        let reason = |code: u16, err_code: u16| -> jetstream::Error {
            serde_json::from_value(json!({ "code": code, "err_code": err_code, "description": "" })).unwrap()
        };
        // temporarily unavailable, not enabled for the account, gone meanwhile, could not be made
        for (code, err_code) in [(503, 10_008), (503, 10_039), (404, 10_059), (500, 10_049)] {
            assert!(passes(&reason(code, err_code)), "{err_code}");
        }
        // no room, subjects of another stream, a limit that is none
        for (code, err_code) in [(500, 10_047), (400, 10_065), (400, 10_052)] {
            assert!(!passes(&reason(code, err_code)), "{err_code}");
        }
    }
}
