//! Which messages are replayed: what was asked for enters, what each message is held against leaves.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::stream::EVENTS;
use common::{FileId, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decode::{Decoded, Delivery};

/// The options as they were given: the same options continue the same replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub subject: Option<String>,
    pub from_sequence: Option<u64>,
    pub to_sequence: Option<u64>,
    pub since: Option<When>,
    pub until: Option<When>,
    pub file: Option<String>,
    pub into: Option<String>,
}

impl Asked {
    /// A name for a replay that was given none: the same for the same options.
    pub(super) fn name(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &json).simple().to_string();
        hash[..8].to_owned()
    }

    /// The subjects to read: rows, and where nothing narrows it to events, rejected rows. Totals of files are left
    /// out, since newer ones are in the database or on their way.
    pub(super) fn subjects(&self) -> Vec<String> {
        match &self.subject {
            Some(subject) => vec![subject.clone()],
            None if self.into.is_some() || self.since.is_some() || self.until.is_some() => {
                vec![format!("{EVENTS}.>")]
            }
            None => vec![format!("{EVENTS}.>"), stream::REJECTED.to_owned()],
        }
    }
}

/// A time, or a duration before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum When {
    At(DateTime<Utc>),
    Ago(Duration),
}

impl When {
    fn resolve(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => now - duration,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(time.to_utc()));
        }
        let day = format!("{text}T00:00:00Z");
        if let Ok(time) = DateTime::parse_from_rfc3339(&day) {
            return Ok(Self::At(time.to_utc()));
        }
        let ago = humantime::parse_duration(text).ok().filter(|ago| *ago < Duration::from_secs(1 << 32));
        ago.map(Self::Ago).ok_or_else(|| {
            "write a time such as 2026-01-31T08:00:00Z or 2026-01-31, or how long ago, such as 2h".into()
        })
    }
}

/// What is replayed, determined once: a replay that was interrupted continues with the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Selection {
    pub(super) asked: Asked,
    pub(super) first_sequence: u64,
    pub(super) last_sequence: u64,
    /// Event times, the first one included, the second one not.
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    files: Option<HashSet<FileId>>,
}

impl Selection {
    pub(super) fn new(
        asked: Asked,
        (first_sequence, last_sequence): (u64, u64),
        files: Option<HashSet<FileId>>,
        now: DateTime<Utc>,
    ) -> Self {
        let [since, until] = [asked.since, asked.until].map(|when| when.map(|when| when.resolve(now)));
        Self { asked, first_sequence, last_sequence, since, until, files }
    }

    /// Whether nothing can lie between its times.
    pub(super) fn is_upside_down(&self) -> bool {
        self.since.zip(self.until).is_some_and(|(since, until)| since >= until)
    }

    /// Whether a message is one of those that were asked for, by its content.
    pub(super) fn wants(&self, delivery: &Delivery) -> bool {
        let (origin, time) = match &delivery.decoded {
            Decoded::Event(row) => (Some(row.origin), row.event_timestamp()),
            Decoded::Corrupt(record) if self.asked.into.is_none() => (record.origin, None),
            Decoded::Corrupt(_) | Decoded::Totals(_) => return false,
        };
        let file_fits = |files: &HashSet<FileId>| origin.is_some_and(|origin| files.contains(&origin.file));
        self.files.as_ref().is_none_or(file_fits)
            && self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time.is_some_and(|time| time < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_time_a_day_or_how_long_ago() {
        let now = "2026-02-01T00:00:00Z".parse().unwrap();
        for text in ["2026-01-31T22:00:00Z", "2h", "120m"] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.resolve(now).to_rfc3339(), "2026-01-31T22:00:00+00:00", "{text}");
        }
        assert_eq!("2026-02-01".parse::<When>().unwrap().resolve(now), now);
        assert!("yesterday".parse::<When>().unwrap_err().contains("2h"));
    }

    #[test]
    fn the_same_options_are_the_same_replay() {
        let purchases = Asked { subject: Some("events.purchase".to_owned()), ..Asked::default() };
        assert_eq!(purchases.name(), purchases.clone().name());
        assert_ne!(purchases.name(), Asked::default().name());
    }
}
