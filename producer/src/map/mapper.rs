//! Makes a message of each record. This runs once for each row, so nothing is copied that can be borrowed.

mod event;
mod value_limits;

use std::collections::HashMap;

use async_nats::Subject;
use bytes::Bytes;
use common::event::{COLUMNS, Reason};
use common::{FileId, NoOrigin, Origin, stream};

use crate::csv::records::Field;
use crate::map::event_id::IdFields;
use crate::map::reject::Rejection;
use crate::map::{Mapping, RowDigest, origin_of};

/// For how many event types subjects are cached.
const KEPT_SUBJECTS: usize = 1_000;

/// The origin of a record and its place in the file.
#[derive(Clone, Copy, Debug)]
pub struct RowPosition {
    pub file: FileId,
    pub row: i64,
    pub byte_start: u64,
    pub byte_end: u64,
    /// The file's modification time when it was read, in microseconds since 1970.
    pub written_us: i64,
}

/// A message that is ready to be published.
#[derive(Clone, Debug)]
pub struct Mapped {
    pub subject: Subject,
    pub payload: Bytes,
    /// Set if the row is a reject.
    pub rejected: Option<(Reason, String)>,
}

/// Turns the records of one file into messages.
#[derive(Debug)]
pub(crate) struct Mapper {
    mapping: Mapping,
    /// The field of each of [`COLUMNS`].
    fields: [Option<usize>; COLUMNS.len()],
    required: Vec<usize>,
    id_fields: IdFields,
    subjects: HashMap<String, Subject>,
    /// The broker's limit.
    max_payload: usize,
    hashed: Vec<u8>,
}

impl Mapper {
    pub(crate) fn new(mapping: Mapping, max_payload: usize) -> Self {
        let number = |name: &str| COLUMNS.iter().position(|column| *column == name);
        let fields = COLUMNS.map(|column| mapping.columns.get(column).copied());
        let required = mapping.required.iter().filter_map(|name| number(name)).collect();
        let id_fields = IdFields::of(&mapping);
        Self {
            mapping,
            fields,
            required,
            id_fields,
            subjects: HashMap::new(),
            max_payload,
            hashed: Vec::new(),
        }
    }

    /// To be called before rows are read again from the first one on.
    pub(crate) fn rewind(&mut self) {
        self.mapping.time_form = None;
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The message for the record `raw`, whose `fields` were found in it.
    pub(crate) fn map(&mut self, raw: &[u8], fields: &[Field], position: RowPosition) -> Mapped {
        let message = match std::str::from_utf8(raw) {
            Ok(record) => self.event(record, fields, position),
            Err(error) => {
                let at = error.valid_up_to() + 1;
                Err(Rejection::of_row(Reason::NotUtf8, format!("byte {at} of the row is not UTF-8")))
            }
        };
        match message {
            Ok((_, payload)) if payload.len() > self.max_payload => {
                let (size, limit) = (payload.len(), self.max_payload);
                let message = format!("the row makes a message of {size} bytes, the broker takes {limit}");
                self.refuse(raw, position, Reason::MessageTooLarge, message)
            }
            Ok((subject, payload)) => Mapped { subject, payload, rejected: None },
            Err(rejection) => self.reject(raw, position, rejection),
        }
    }

    /// The reject of a row that cannot be split into fields.
    pub(crate) fn refuse(
        &self,
        raw: &[u8],
        position: RowPosition,
        reason: Reason,
        message: String,
    ) -> Mapped {
        self.reject(raw, position, Rejection::of_row(reason, message))
    }

    /// The reject of a row of which only the beginning was kept.
    pub(crate) fn refuse_beginning(
        &self,
        raw: &[u8],
        whole: RowDigest,
        position: RowPosition,
        reason: Reason,
        message: String,
    ) -> Mapped {
        self.reject(
            raw,
            position,
            Rejection { whole: Some(whole.into()), ..Rejection::of_row(reason, message) },
        )
    }

    fn reject(&self, raw: &[u8], position: RowPosition, rejection: Rejection) -> Mapped {
        let replaces = self.replaced(raw).ok().flatten();
        rejection.into_message(raw, position, replaces, self.max_payload)
    }

    /// The origin of the rejected row that the row of an edited file replaces.
    fn replaced(&self, raw: &[u8]) -> Result<Option<Origin>, NoOrigin> {
        self.mapping.is_edited.then(|| origin_of(raw, self.mapping.delimiter)).transpose()
    }

    fn event(
        &mut self,
        record: &str,
        fields: &[Field],
        position: RowPosition,
    ) -> Result<(Subject, Bytes), Rejection> {
        let mut hashed = std::mem::take(&mut self.hashed);
        let message = self.message(record, fields, position, &mut hashed);
        self.hashed = hashed;
        let (event_type, form, payload) = message?;
        self.mapping.time_form = Some(form);
        Ok((self.subject(event_type), payload))
    }

    fn subject(&mut self, event_type: String) -> Subject {
        if let Some(subject) = self.subjects.get(&event_type) {
            return subject.clone();
        }
        let subject = Subject::from(stream::subject_of(&event_type));
        if self.subjects.len() < KEPT_SUBJECTS {
            self.subjects.insert(event_type, subject.clone());
        }
        subject
    }
}

#[cfg(test)]
mod tests;
