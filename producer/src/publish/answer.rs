//! What the broker answers to one message.

use std::fmt;

use async_nats::{Message, StatusCode};
use serde::Deserialize;

/// JetStream's error code for a stream that has reached `max_bytes`.
const FULL: u64 = 10_077;

/// Whether the stream has the message.
#[derive(Debug)]
pub(super) enum Answer {
    /// It has, under this sequence.
    Taken(u64),
    /// It has not.
    Refused(Why),
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Why {
    /// There is no stream with its subject, or no JetStream.
    Nobody,
    /// The stream is full.
    Full,
    /// Anything else, in the broker's words.
    Other(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "nobody keeps the stream's subjects",
            Self::Full => "the stream is full: consumers have to read on, or stream.max_bytes has to grow",
            Self::Other(words) => words,
        })
    }
}

#[derive(Debug, Deserialize)]
struct PubAck {
    seq: Option<u64>,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    description: String,
}

/// Reads an answer off its message.
pub(super) fn read(message: &Message) -> Answer {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Answer::Refused(Why::Nobody);
    }
    match serde_json::from_slice::<PubAck>(&message.payload) {
        Ok(PubAck { error: Some(refusal), .. }) if refusal.err_code == FULL => Answer::Refused(Why::Full),
        Ok(PubAck { error: Some(refusal), .. }) => Answer::Refused(Why::Other(refusal.description)),
        Ok(PubAck { seq: Some(sequence), error: None }) => Answer::Taken(sequence),
        Ok(_) => Answer::Refused(Why::Other("an answer without a sequence".to_owned())),
        Err(error) => Answer::Refused(Why::Other(format!("an answer that cannot be read: {error}"))),
    }
}
