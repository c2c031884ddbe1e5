//! The messages in the stream, as types of `common::wire`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use async_nats::jetstream::Message;
use bytes::Bytes;
use common::wire::{EventMessage, FileMessage, RejectMessage};
use common::{FileId, Origin, stream};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// As `sha256sum` prints it.
pub(crate) fn sha256(text: &str) -> String {
    let mut digits = String::new();
    for byte in Sha256::digest(text) {
        write!(digits, "{byte:02x}").unwrap();
    }
    digits
}

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
    body: Bytes,
}

impl From<&Message> for Sent {
    fn from(message: &Message) -> Self {
        assert!(message.headers.is_none(), "rule broker-does-not-deduplicate: no message id is sent");
        let sequence = message.info().unwrap().stream_sequence;
        Self { sequence, subject: message.subject.to_string(), body: message.payload.clone() }
    }
}

impl Sent {
    pub(crate) fn event(&self) -> Option<EventMessage<'_>> {
        self.subject.starts_with("events.").then(|| serde_json::from_slice(&self.body).unwrap())
    }

    pub(crate) fn reject(&self) -> Option<RejectMessage> {
        (self.subject == stream::REJECTED).then(|| serde_json::from_slice(&self.body).unwrap())
    }

    pub(crate) fn totals(&self) -> Option<FileMessage> {
        (self.subject == stream::FILE).then(|| serde_json::from_slice(&self.body).unwrap())
    }

    /// Without the time at which the row was read, which differs when it is sent again.
    fn content(&self) -> Value {
        let mut content: Value = serde_json::from_slice(&self.body).unwrap();
        content.as_object_mut().unwrap().remove("written_us");
        content
    }

    /// Of a row, good or bad.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.event().map(|event| event.origin()).or_else(|| self.reject().map(|reject| reject.origin()))
    }
}

/// Messages in the stream's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents(pub(crate) Vec<Sent>);

impl Contents {
    pub(crate) fn events(&self) -> Vec<EventMessage<'_>> {
        self.0.iter().filter_map(Sent::event).collect()
    }

    pub(crate) fn rejects(&self) -> Vec<RejectMessage> {
        self.0.iter().filter_map(Sent::reject).collect()
    }

    /// Of all files, by revision, each once: older ones may be sent again behind newer ones.
    pub(crate) fn totals(&self) -> Vec<FileMessage> {
        let mut all_totals: Vec<_> = self.0.iter().filter_map(Sent::totals).collect();
        all_totals.sort_by_key(|totals| totals.revision);
        all_totals.dedup();
        all_totals
    }

    /// The origin of each row that was sent, as often as it was sent.
    pub(crate) fn rows(&self) -> Vec<Origin> {
        self.0.iter().filter_map(Sent::origin).collect()
    }

    /// The numbers of a file's rows, as often as they were sent.
    pub(crate) fn rows_of(&self, file: FileId) -> Vec<i64> {
        self.rows().into_iter().filter(|origin| origin.file == file).map(|origin| origin.row).collect()
    }

    pub(crate) fn files(&self) -> BTreeSet<FileId> {
        self.rows().into_iter().map(|origin| origin.file).collect()
    }

    /// A row that was sent again is the same row.
    pub(crate) fn each_origin_has_one_content(&self) {
        let mut known = BTreeMap::new();
        for message in &self.0 {
            if let Some(origin) = message.origin() {
                let content = message.content();
                let before = known.entry(origin).or_insert_with(|| content.clone());
                assert_eq!(*before, content, "row {} of {} has two contents", origin.row, origin.file);
            }
        }
    }

    /// The event of each origin; a row that was sent again is the same event.
    pub(crate) fn event_ids(&self) -> BTreeMap<Origin, Uuid> {
        let mut ids = BTreeMap::new();
        for event in self.events() {
            let before = ids.insert(event.origin(), event.event_id);
            assert!(
                before.is_none_or(|before| before == event.event_id),
                "row {} became another event when it was sent again",
                event.row
            );
        }
        ids
    }
}
