//! `[[source]]`: how the files of one origin map to the event.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::sections::UnknownColumns;

/// How files whose name fits `files` map to the event. What is unset is taken from `[events]` or found by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// A name for messages and for `files.source`.
    pub name: String,
    /// Which files, by their name: `orders_*.csv`.
    pub files: String,
    /// What separates fields; a tab in `.tsv` files and a comma in others by default.
    pub delimiter: Option<char>,
    /// Lines that start with it are not rows.
    pub comment: Option<char>,
    /// The decimal separator of prices.
    pub decimal: char,
    /// The event's column on the left, the file's on the right.
    pub columns: BTreeMap<String, String>,
    /// Event types besides the built-in ones, or `"any"`, which also switches the built-in aliases off.
    pub types: Option<EventTypes>,
    /// The file's value of an event type on the left, the type on the right.
    pub type_aliases: BTreeMap<String, String>,
    /// Whether a column of these files is the id of the event.
    pub event_id: bool,
    /// Within what an id is of one event only, unless it is a UUID.
    pub id_scope: IdScope,
    /// The event's columns that identify a row of a file without ids; the whole row by default.
    pub id_from: Vec<String>,
    /// The zone of times that name none.
    pub time_zone: Option<Tz>,
    /// What becomes of columns that map to nothing.
    pub unknown_columns: Option<UnknownColumns>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            name: "built-in".to_owned(),
            files: "*".to_owned(),
            delimiter: None,
            comment: None,
            decimal: '.',
            columns: BTreeMap::new(),
            types: None,
            type_aliases: BTreeMap::new(),
            event_id: true,
            id_scope: IdScope::Source,
            id_from: Vec::new(),
            time_zone: None,
            unknown_columns: None,
        }
    }
}

/// Within what an id that is no UUID is of one event only: the same id elsewhere is that of another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdScope {
    /// All files.
    Global,
    /// The files of one `[[source]]`.
    Source,
    /// One file.
    File,
}

/// Which event types are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTypes {
    /// Every one, as it stands in the file.
    Any,
    /// The built-in ones and these.
    Also(Vec<String>),
}

impl Default for EventTypes {
    fn default() -> Self {
        Self::Also(Vec::new())
    }
}

impl Serialize for EventTypes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Also(types) => types.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EventTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Types;
        impl<'de> Visitor<'de> for Types {
            type Value = EventTypes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"any\" or a list of event types such as [\"search\", \"refund\"]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<EventTypes, E> {
                match text {
                    "any" => Ok(EventTypes::Any),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<EventTypes, A::Error> {
                let mut types = Vec::new();
                while let Some(one) = seq.next_element()? {
                    types.push(one);
                }
                Ok(EventTypes::Also(types))
            }
        }
        deserializer.deserialize_any(Types)
    }
}
