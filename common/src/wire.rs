//! How rows travel: one JSON message a row, one a rejected row, one for the totals of a file.
//!
//! Each message begins with its format's version and its origin. Text is borrowed from the message where JSON
//! allows it, so that decoding a row allocates little.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event::Reason;
use crate::origin::{FileId, Origin, Row};

/// The version of the format that this build writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// One row that became an event.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventMessage<'a> {
    /// [`VERSION`] of the writer.
    pub v: u32,
    /// The file it stands in.
    pub file_id: FileId,
    /// Its number there.
    pub row: Row,
    /// When the file was last written before the row was read, in microseconds since 1970.
    pub written_us: i64,
    /// Primary key.
    pub event_id: Uuid,
    /// The file's own id, where it is no UUID.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub source_event_id: Option<Text<'a>>,
    /// What happened.
    #[serde(borrow)]
    pub event_type: Text<'a>,
    /// When, as RFC 3339 in UTC.
    #[serde(borrow)]
    pub event_timestamp: Text<'a>,
    /// Who.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Text<'a>>,
    /// Their name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub customer_name: Option<Text<'a>>,
    /// Their e-mail address.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub customer_email: Option<Text<'a>>,
    /// Their postal address.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub customer_address: Option<Text<'a>>,
    /// In which visit.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Text<'a>>,
    /// With which browser.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Text<'a>>,
    /// From which IPv4 or IPv6 address.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<Text<'a>>,
    /// Which product.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<Text<'a>>,
    /// Its name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub product_name: Option<Text<'a>>,
    /// Its category.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Text<'a>>,
    /// Its brand.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<Text<'a>>,
    /// Its stock keeping unit.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Text<'a>>,
    /// Its price as a decimal number in text, so that no digit is lost.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Text<'a>>,
    /// Low, Medium or High.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub price_category: Option<Text<'a>>,
    /// Mobile, Desktop or Tablet.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<Text<'a>>,
    /// The rejected row that this one was made from, and takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Origin>,
    /// The file's other columns, a JSON object.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<&'a RawValue>,
}

impl EventMessage<'_> {
    /// The row's key in the ledger.
    pub fn origin(&self) -> Origin {
        Origin { file: self.file_id, row: self.row }
    }
}

/// One row that could not become an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RejectMessage {
    /// [`VERSION`] of the writer.
    pub v: u32,
    /// The file it stands in.
    pub file_id: FileId,
    /// Its number there.
    pub row: Row,
    /// Microseconds since 1970, as in [`EventMessage`].
    pub written_us: i64,
    /// Offset of its first byte in the file, uncompressed.
    pub byte_start: i64,
    /// Offset behind its last byte.
    pub byte_end: i64,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
    /// The event's column at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The value at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The record as it stands in the file; its beginning where `truncated`.
    pub raw: Bytes64,
    /// Whether `raw` had to be cut to fit a message.
    #[serde(default)]
    pub truncated: bool,
    /// The rejected row that this one was made from, and takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Origin>,
}

impl RejectMessage {
    /// The row's key in the ledger.
    pub fn origin(&self) -> Origin {
        Origin { file: self.file_id, row: self.row }
    }
}

/// The totals of one file. A higher revision replaces a lower one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMessage {
    /// [`VERSION`] of the writer.
    pub v: u32,
    /// The file.
    pub file_id: FileId,
    /// Counts up with each message about this file.
    pub revision: i64,
    /// Its path where it was read.
    pub path: String,
    /// The `[[source]]` that maps it.
    pub source: String,
    /// Its bytes, uncompressed, up to the last row read.
    pub bytes: i64,
    /// Where it stands.
    pub state: FileState,
    /// Its rows so far; final unless the file is [`FileState::Open`].
    pub rows_read: i64,
    /// How many of them were published as events.
    pub published: i64,
    /// How many of them were rejected.
    pub rejected: i64,
    /// Its column names, as they stand in the file; none where they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<String>,
    /// What separates its fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
}

/// How far a file has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Being read.
    Open,
    /// Read to its end; every row is in the stream.
    Finished,
    /// Rewritten, truncated or removed before its end was read: what was read until then stands.
    Truncated,
}

/// As it is stored in `files.state`.
impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What the consumer puts into the bucket of closed files: the file is reconciled in SQL, by the totals of this revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedFile {
    /// The revision of its totals.
    pub revision: i64,
    /// Its rows, each of which is in a table.
    pub rows_read: i64,
}

/// Only the version: what is read of a message that cannot be decoded, to distinguish a newer one from a broken one.
#[derive(Debug, Deserialize)]
pub struct VersionOnly {
    /// The writer's [`VERSION`].
    pub v: u32,
}

/// Text that is borrowed from the message unless JSON had to escape it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Bytes of any kind, base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes64(pub Vec<u8>);

impl Serialize for Bytes64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_borrowed_unless_it_was_escaped() {
        let plain: Text<'_> = serde_json::from_str(r#""plain""#).unwrap();
        let escaped: Text<'_> = serde_json::from_str(r#""a\"b""#).unwrap();
        assert!(matches!(plain.0, Cow::Borrowed("plain")));
        assert_eq!(&*escaped, "a\"b");
    }

    #[test]
    fn an_event_without_optional_columns_travels_without_them() {
        let body = r#"{"v":1,"file_id":7,"row":3,"written_us":9,"event_id":"00000000-0000-0000-0000-000000000001","event_type":"view","event_timestamp":"2024-03-13T10:21:14Z"}"#;
        let event: EventMessage<'_> = serde_json::from_str(body).unwrap();
        assert_eq!(event.origin(), Origin { file: FileId::from(7), row: 3 });
        assert_eq!(serde_json::to_string(&event).unwrap(), body);
    }

    #[test]
    fn raw_bytes_survive() {
        let bytes = Bytes64(vec![0, 255, b'"', 10]);
        let json = serde_json::to_string(&bytes).unwrap();
        assert_eq!(serde_json::from_str::<Bytes64>(&json).unwrap(), bytes);
    }
}
