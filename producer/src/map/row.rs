//! One record to one message. This runs once a row: what can be borrowed is borrowed.

use std::borrow::Cow;
use std::collections::HashMap;

use async_nats::Subject;
use bytes::Bytes;
use common::event::{COLUMNS, ORIGIN_COLUMN, Reason};
use common::wire::{EventMessage, Text, VERSION};
use common::{FileId, NoOrigin, Origin, stream};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::csv::records::Field;
use crate::map::reject::Rejection;
use crate::map::time::{TimeForm, timestamp};
use crate::map::values::{self, Refusal};
use crate::map::{Mapping, RowDigest, column, origin_of, price};

/// Subjects are kept for this many event types; beyond it they are made anew.
const KEPT_SUBJECTS: usize = 1_000;

/// The longest value of a column that PostgreSQL has an index on (`sql/migrations/0002_indexes.sql`), in bytes. An entry
/// of a B-tree index holds 2,704 bytes with its header: <https://www.postgresql.org/docs/current/btree.html>.
const LONGEST_INDEXED: usize = 2_600;
/// How much of a value that is too long is shown, in characters.
const SHOWN: usize = 40;

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowPosition {
    pub file: FileId,
    pub row: i64,
    pub byte_start: u64,
    pub byte_end: u64,
    /// The file's modification time when it was read, in microseconds since 1970.
    pub written_us: i64,
}

/// A message that is ready to be published.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    pub subject: Subject,
    pub payload: Bytes,
    /// Set where the row is no event.
    pub rejected: Option<(Reason, String)>,
}

/// Turns the records of one file into messages.
#[derive(Debug)]
pub(crate) struct Mapper {
    mapping: Mapping,
    /// The field of each of [`COLUMNS`].
    fields: [Option<usize>; COLUMNS.len()],
    required: Vec<usize>,
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
        Self { mapping, fields, required, subjects: HashMap::new(), max_payload, hashed: Vec::new() }
    }

    /// Forgets what rows have settled, before they are read again from the first one on.
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

    /// The message for bytes that are no event as a whole.
    pub(crate) fn refuse(
        &self,
        raw: &[u8],
        position: RowPosition,
        reason: Reason,
        message: String,
    ) -> Mapped {
        self.reject(raw, position, Rejection::of_row(reason, message))
    }

    /// The message for a row of which only the beginning is at hand.
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

    /// Which rejected row the row of an edited file takes the place of.
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

    /// The event's type and JSON, and how its time is written.
    fn message(
        &self,
        record: &str,
        fields: &[Field],
        position: RowPosition,
        hashed: &mut Vec<u8>,
    ) -> Result<(String, TimeForm, Bytes), Rejection> {
        self.check_shape(record, fields)?;
        let replaces = self.replaced(record.as_bytes()).map_err(|error| Rejection {
            reason: Reason::BadOrigin,
            column: Some(ORIGIN_COLUMN),
            value: Some(fields[0].value(record).into_owned()),
            message: format!("column {ORIGIN_COLUMN}: {error}"),
            whole: None,
        })?;
        let value = |column: usize| {
            self.fields[column].map(|field| fields[field].value(record)).filter(|v| !v.is_empty())
        };
        if let Some(&column) = self.required.iter().find(|&&column| value(column).is_none()) {
            return Err(self.missing(column));
        }
        let text = |column| value(column).map(Text);
        let kind = value(column::EVENT_TYPE).unwrap_or_default();
        let event_type =
            self.mapping.types.resolve(&kind).map_err(|what| {
                self.at_column(column::EVENT_TYPE, &kind, (Reason::UnknownEventType, what))
            })?;
        let time = value(column::EVENT_TIMESTAMP).unwrap_or_default();
        let time = time.trim();
        let form = self.mapping.time_form.unwrap_or_else(|| TimeForm::of(time));
        let event_timestamp = timestamp(time, self.mapping.time_zone, form)
            .map_err(|refusal| self.at_column(column::EVENT_TIMESTAMP, time, refusal))?;
        let price = match value(column::PRICE) {
            None => None,
            Some(text) => Some(
                price::price(text.trim(), self.mapping.decimal)
                    .map_err(|refusal| self.at_column(column::PRICE, &text, refusal))?,
            ),
        };
        let ip_address = value(column::IP_ADDRESS);
        // PostgreSQL takes no blanks around it, so what is sent is what was checked.
        let ip_address = ip_address.as_deref().map(str::trim);
        if let Some(address) = ip_address {
            values::ip_address(address)
                .map_err(|refusal| self.at_column(column::IP_ADDRESS, address, refusal))?;
        }
        for column in [column::CUSTOMER_ID, column::PRODUCT_ID] {
            if let Some(long) = value(column).filter(|value| value.len() > LONGEST_INDEXED) {
                return Err(self.too_long(column, &long));
            }
        }
        let (event_id, source_event_id) = self.event_id(record, fields, hashed)?;
        let user_agent = value(column::USER_AGENT);
        let word = value(column::DEVICE_TYPE);
        let known = word.as_deref().and_then(|word| values::device(word.trim()));
        let device = known.or_else(|| user_agent.as_deref().map(values::device_of_user_agent));
        let odd_device = word.filter(|_| known.is_none());
        let attributes = self.attributes(record, fields, odd_device.as_deref());
        let (low, medium) = self.mapping.price_below;
        let message = EventMessage {
            v: VERSION,
            file_id: position.file,
            row: position.row,
            written_us: position.written_us,
            event_id,
            source_event_id: source_event_id.map(Text),
            event_type: Text(Cow::Borrowed(&event_type)),
            event_timestamp: event_timestamp.into(),
            customer_id: text(column::CUSTOMER_ID),
            customer_name: text(column::CUSTOMER_NAME),
            customer_email: text(column::CUSTOMER_EMAIL),
            customer_address: text(column::CUSTOMER_ADDRESS),
            session_id: text(column::SESSION_ID),
            user_agent: user_agent.map(Text),
            ip_address: ip_address.map(Text::from),
            product_id: text(column::PRODUCT_ID),
            product_name: text(column::PRODUCT_NAME),
            category: text(column::CATEGORY),
            brand: text(column::BRAND),
            sku: text(column::SKU),
            price_category: price.as_deref().map(|price| price::category(price, low, medium).into()),
            price: price.map(Text::from),
            device_type: device.map(Text::from),
            replaces,
            attributes: attributes.as_deref(),
        };
        let mut payload = Vec::with_capacity(record.len() + 512);
        serde_json::to_writer(&mut payload, &message).map_err(|error| {
            let message = format!("the row cannot be written as JSON: {error}");
            Rejection::of_row(Reason::UndecodableMessage, message)
        })?;
        Ok((event_type.into_owned(), form, payload.into()))
    }

    fn check_shape(&self, record: &str, fields: &[Field]) -> Result<(), Rejection> {
        if memchr::memchr(0, record.as_bytes()).is_some() {
            return Err(Rejection::of_row(
                Reason::NulCharacter,
                "the row holds a NUL character, which text cannot".to_owned(),
            ));
        }
        let (found, wanted) = (fields.len(), self.mapping.header.len());
        let reason = match found.cmp(&wanted) {
            std::cmp::Ordering::Less => Reason::TooFewFields,
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Greater => Reason::TooManyFields,
        };
        Err(Rejection::of_row(reason, format!("{found} fields where the header has {wanted}")))
    }

    /// The id, and the file's own id where that is no UUID.
    fn event_id<'a>(
        &self,
        record: &'a str,
        fields: &[Field],
        hashed: &mut Vec<u8>,
    ) -> Result<(Uuid, Option<Cow<'a, str>>), Rejection> {
        if let Some(field) = self.fields[column::EVENT_ID] {
            let id = fields[field].value(record);
            return match Uuid::try_parse(id.trim()) {
                Ok(uuid) => Ok((uuid, None)),
                Err(_) if id.trim().is_empty() => Err(self.missing(column::EVENT_ID)),
                Err(_) => Ok((values::uuid_of(std::iter::once(&*id), hashed), Some(id))),
            };
        }
        let parts = &self.mapping.id_fields;
        let lacks = |field: usize| fields[field].value(record).trim().is_empty();
        if let Some(&empty) = parts.iter().find(|&&field| lacks(field)) {
            let column =
                self.fields.iter().position(|found| *found == Some(empty)).unwrap_or(column::EVENT_ID);
            return Err(self.missing(column));
        }
        // Where the rejected row stood is no part of the row.
        let first = usize::from(self.mapping.is_edited);
        let all: Vec<usize> = if parts.is_empty() { (first..fields.len()).collect() } else { parts.clone() };
        let values: Vec<Cow<'_, str>> = all.iter().map(|&field| fields[field].value(record)).collect();
        Ok((values::uuid_of(values.iter().map(|value| &**value), hashed), None))
    }

    /// The fields that map to nothing as a JSON object; `None` where there is nothing in them.
    fn attributes(&self, record: &str, fields: &[Field], device: Option<&str>) -> Option<Box<RawValue>> {
        let mut json = String::from("{");
        let unmapped = self
            .mapping
            .attributes
            .iter()
            .map(|&field| (&*self.mapping.header[field], fields[field].value(record)));
        let device = device.map(|word| ("device_type", Cow::Borrowed(word)));
        for (name, value) in unmapped.chain(device).filter(|(_, value)| !value.is_empty()) {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&serde_json::to_string(name).ok()?);
            json.push(':');
            json.push_str(&serde_json::to_string(&*value).ok()?);
        }
        if json.len() == 1 {
            return None;
        }
        json.push('}');
        RawValue::from_string(json).ok()
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

    fn missing(&self, column: usize) -> Rejection {
        self.at_column(column, "", (Reason::MissingValue, "is empty, but every row needs it".to_owned()))
    }

    fn too_long(&self, column: usize, value: &str) -> Rejection {
        let length = value.len();
        let what = format!("… has {length} bytes; this column is indexed and takes {LONGEST_INDEXED}");
        let shown: String = value.chars().take(SHOWN).collect();
        self.at_column(column, &shown, (Reason::ValueTooLong, what))
    }

    fn at_column(&self, column: usize, value: &str, (reason, what): Refusal) -> Rejection {
        let column_name = COLUMNS[column];
        let name = self.fields[column].map_or(column_name, |field| self.mapping.header[field].as_str());
        Rejection {
            reason,
            column: Some(column_name),
            value: Some(value.to_owned()),
            message: format!("column {name}: \"{value}\" {what}"),
            whole: None,
        }
    }
}

#[cfg(test)]
mod tests;
