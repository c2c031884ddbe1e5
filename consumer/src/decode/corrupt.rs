//! A record for `corrupt_records`: a row or a message that could not become an event, and why.

use std::fmt;

use common::event::Reason;
use common::stream::StreamPosition;
use common::wire::{RejectMessage, VersionOnly};
use common::{FileId, Origin};
use serde::{Deserialize, Serialize};

use super::Fault;

/// Where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// By the tailer, in the file.
    Producer,
    /// By `decode`, in the message.
    Decode,
    /// By PostgreSQL, in the values.
    Database,
}

/// As it is stored in `corrupt_records.stage`.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One record; its texts hold no NUL, which PostgreSQL could not store.
#[derive(Debug)]
pub(crate) struct Corrupt {
    pub(crate) origin: Option<Origin>,
    /// The first byte in the file and the one behind the last, where the tailer knew them.
    pub(crate) span: Option<(i64, i64)>,
    pub(crate) stage: Stage,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) column: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) truncated: bool,
    pub(crate) position: StreamPosition,
    /// The rejected row that it was to take the place of.
    pub(crate) replaces: Option<Origin>,
}

impl Corrupt {
    /// A row that the tailer rejected.
    pub(super) fn rejected(reject: RejectMessage, position: StreamPosition) -> Self {
        Self {
            origin: Some(reject.origin()),
            span: Some((reject.byte_start, reject.byte_end)),
            stage: Stage::Producer,
            reason: reject.reason,
            message: without_nul(reject.message),
            column: reject.column.map(without_nul),
            value: reject.value.map(without_nul),
            raw: reject.raw.0,
            truncated: reject.truncated,
            position,
            replaces: reject.replaces,
        }
    }
}

/// The parts of a message that identify its row, whatever else is wrong with it.
#[derive(Deserialize)]
struct OriginOnly {
    file_id: FileId,
    row: i64,
}

/// The rejected row that it was to replace.
#[derive(Deserialize)]
struct ReplacesOnly {
    replaces: Origin,
}

/// A message that could not be decoded, or whose values cannot be stored.
pub(super) fn of_message(payload: &[u8], position: StreamPosition, fault: Fault) -> Corrupt {
    let origin =
        serde_json::from_slice(payload).ok().map(|OriginOnly { file_id, row }| Origin { file: file_id, row });
    let ours = serde_json::from_slice::<VersionOnly>(payload).is_ok();
    let (reason, message) = if origin.is_none() && ours {
        (Reason::NoOrigin, format!("the message does not name its file and row; {}", fault.message))
    } else {
        (fault.reason, fault.message)
    };
    Corrupt {
        origin,
        span: None,
        stage: Stage::Decode,
        reason,
        message: without_nul(message),
        column: fault.column.map(str::to_owned),
        value: fault.value.map(without_nul),
        raw: payload.to_vec(),
        truncated: false,
        position,
        replaces: serde_json::from_slice(payload).ok().map(|ReplacesOnly { replaces }| replaces),
    }
}

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{2400}") } else { text }
}
