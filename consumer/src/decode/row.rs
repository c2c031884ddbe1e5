//! A row in the form in which it is sent to PostgreSQL: one line of COPY's text format, made once.
//!
//! The format: <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2>.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use common::Origin;
use common::event::Reason;
use common::stream::StreamPosition;
use common::wire::{EventMessage, Text};
use uuid::Uuid;

use super::Fault;

/// The fields of a [`Row::line`]: the columns of `sql/copy_events.sql` but for the last.
const FIELDS: [&str; 22] = [
    "event_id",
    "event_type",
    "event_timestamp",
    "customer_id",
    "customer_name",
    "customer_email",
    "customer_address",
    "session_id",
    "user_agent",
    "ip_address",
    "product_id",
    "product_name",
    "category",
    "brand",
    "sku",
    "price",
    "price_category",
    "device_type",
    "attributes",
    "file_id",
    "source_row",
    "source_event_id",
];

/// About the length of a line, so that it is allocated once.
const USUAL_LENGTH: usize = 512;
/// How much of a value is kept to explain what is wrong with it.
const SHOWN: usize = 200;

/// A row for `events`.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) origin: Origin,
    pub(crate) event_id: Uuid,
    /// Where its message stands.
    pub(crate) position: StreamPosition,
    /// When it was written to its file, in microseconds since 1970.
    pub(crate) written_us: i64,
    /// [`FIELDS`], each ended by a tab; `batch_id`, the last column, is known only when it is written.
    pub(crate) line: Vec<u8>,
    /// The rejected row that it takes the place of; few rows have one, so it is kept small.
    pub(crate) replaces: Option<Box<Origin>>,
}

impl Row {
    /// Checks what PostgreSQL would not, or would only find by failing the whole batch.
    pub(super) fn of(event: &EventMessage<'_>, position: StreamPosition) -> Result<Self, Fault> {
        let timestamp = &event.event_timestamp;
        if DateTime::parse_from_rfc3339(timestamp).is_err() {
            return Err(fault(Reason::BadTimestamp, "event_timestamp", timestamp, "is not an RFC 3339 time"));
        }
        let mut line = Line(Vec::with_capacity(USUAL_LENGTH));
        let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
        line.plain(event.event_id.hyphenated().encode_lower(&mut id));
        line.text("event_type", &event.event_type)?;
        line.plain(timestamp);
        line.optional("customer_id", event.customer_id.as_ref())?;
        line.optional("customer_name", event.customer_name.as_ref())?;
        line.optional("customer_email", event.customer_email.as_ref())?;
        line.optional("customer_address", event.customer_address.as_ref())?;
        line.optional("session_id", event.session_id.as_ref())?;
        line.optional("user_agent", event.user_agent.as_ref())?;
        line.optional("ip_address", event.ip_address.as_ref())?;
        line.optional("product_id", event.product_id.as_ref())?;
        line.optional("product_name", event.product_name.as_ref())?;
        line.optional("category", event.category.as_ref())?;
        line.optional("brand", event.brand.as_ref())?;
        line.optional("sku", event.sku.as_ref())?;
        line.optional("price", event.price.as_ref())?;
        line.optional("price_category", event.price_category.as_ref())?;
        line.optional("device_type", event.device_type.as_ref())?;
        match event.attributes {
            Some(json) => line.text("attributes", json.get())?,
            None => line.null(),
        }
        let mut number = itoa::Buffer::new();
        line.plain(number.format(event.file_id.get()));
        line.plain(number.format(event.row));
        line.optional("source_event_id", event.source_event_id.as_ref())?;
        Ok(Self {
            origin: event.origin(),
            event_id: event.event_id,
            position,
            written_us: event.written_us,
            line: line.0,
            replaces: event.replaces.map(Box::new),
        })
    }

    /// The same row with short required values and without any other.
    pub(crate) fn without_values(&self) -> Self {
        let mut line = Line(Vec::with_capacity(USUAL_LENGTH));
        for (name, value) in self.fields() {
            match (name, value) {
                ("event_type", _) => line.plain("view"),
                ("event_id" | "event_timestamp" | "file_id" | "source_row", Some(value)) => {
                    line.plain(&value);
                }
                _ => line.null(),
            }
        }
        Self { line: line.0, replaces: self.replaces.clone(), ..*self }
    }

    /// When it happened.
    pub(crate) fn event_timestamp(&self) -> Option<DateTime<Utc>> {
        let (_, text) = self.fields().find(|(name, _)| *name == "event_timestamp")?;
        Some(DateTime::parse_from_rfc3339(&text?).ok()?.to_utc())
    }

    /// Columns and their values as they were before they were escaped.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, Option<Cow<'_, str>>)> {
        let line = self.line.strip_suffix(b"\t").unwrap_or(&self.line);
        let values = line.split(|&byte| byte == b'\t').map(|field| match field {
            b"\\N" => None,
            plain if !plain.contains(&b'\\') => Some(String::from_utf8_lossy(plain)),
            escaped => Some(Cow::Owned(unescape(escaped))),
        });
        FIELDS.into_iter().zip(values)
    }
}

struct Line(Vec<u8>);

impl Line {
    /// Text that needs no escape.
    fn plain(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'\t');
    }

    fn null(&mut self) {
        self.0.extend_from_slice(b"\\N\t");
    }

    fn optional(&mut self, column: &'static str, text: Option<&Text<'_>>) -> Result<(), Fault> {
        if let Some(text) = text {
            return self.text(column, text);
        }
        self.null();
        Ok(())
    }

    fn text(&mut self, column: &'static str, text: &str) -> Result<(), Fault> {
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r' | 0)) {
            let escaped = match rest[at] {
                b'\t' => b't',
                b'\n' => b'n',
                b'\r' => b'r',
                0 => {
                    return Err(fault(
                        Reason::NulCharacter,
                        column,
                        text,
                        "holds a NUL character, which PostgreSQL cannot store in text",
                    ));
                }
                backslash => backslash,
            };
            self.0.extend_from_slice(&rest[..at]);
            self.0.extend_from_slice(&[b'\\', escaped]);
            rest = &rest[at + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.push(b'\t');
        Ok(())
    }
}

fn fault(reason: Reason, column: &'static str, value: &str, what: &str) -> Fault {
    let value: String = value.chars().take(SHOWN).collect();
    let message = format!("{column} {what}: {value:?}");
    Fault { reason, message, column: Some(column), value: Some(value) }
}

fn unescape(field: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(&byte) = rest.next() {
        let unescaped = match byte {
            b'\\' => match rest.next() {
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => b'\\',
            },
            plain => plain,
        };
        bytes.push(unescaped);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
