//! What the broker answers to one message.

use std::fmt;

use async_nats::{Message, StatusCode};
use serde::Deserialize;

/// JetStream's error code for a stream that has reached `max_bytes`.
const FULL: u64 = 10_077;

#[derive(Debug)]
pub(super) enum Answer {
    /// It has, under this sequence.
    Taken(u64),
    /// It has not.
    Refused(Why),
}

#[derive(Debug)]
pub(super) enum Why {
    /// There is no stream with its subject, or no JetStream.
    NoResponders,
    Full,
    /// Any other error, as the broker describes it.
    Other(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoResponders => "no stream has the subjects",
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
        return Answer::Refused(Why::NoResponders);
    }
    match serde_json::from_slice::<PubAck>(&message.payload) {
        Ok(PubAck { error: Some(refusal), .. }) if refusal.err_code == FULL => Answer::Refused(Why::Full),
        Ok(PubAck { error: Some(refusal), .. }) => Answer::Refused(Why::Other(refusal.description)),
        Ok(PubAck { seq: Some(sequence), error: None }) => Answer::Taken(sequence),
        Ok(_) => Answer::Refused(Why::Other("an answer without a sequence".to_owned())),
        Err(error) => Answer::Refused(Why::Other(format!("an answer that cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use async_nats::Subject;
    use bytes::Bytes;

    use super::*;

    fn answer(status: Option<StatusCode>, payload: &'static str) -> Result<u64, String> {
        let message = Message {
            subject: Subject::from_static("_INBOX.x.1"),
            reply: None,
            payload: Bytes::from_static(payload.as_bytes()),
            headers: None,
            status,
            description: None,
            length: payload.len(),
        };
        match read(&message) {
            Answer::Taken(sequence) => Ok(sequence),
            Answer::Refused(why) => Err(why.to_string()),
        }
    }

    #[test]
    fn a_refusal_is_no_acknowledgement_and_has_a_reason() {
        assert_eq!(answer(None, r#"{"stream":"EVENTS","seq":7}"#), Ok(7));
        for (status, payload, why) in [
            (Some(StatusCode::NO_RESPONDERS), "", "no stream has the subjects"),
            (
                None,
                r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#,
                "the stream is full",
            ),
            (None, r#"{"error":{"code":400,"err_code":10054,"description":"too large"}}"#, "too large"),
            (None, r#"{"stream":"EVENTS"}"#, "without a sequence"),
            (None, "", "cannot be read"),
        ] {
            let refused = answer(status, payload).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
