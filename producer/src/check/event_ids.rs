//! Which rows have the id of an earlier row, in the file itself or in one that was checked before it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use common::FileId;
use common::wire::EventMessage;
use uuid::Uuid;

use crate::file::identity::hash;
use crate::map::Mapped;

/// No more ids are kept: they would take too much memory.
const MOST: usize = 5_000_000;

/// The ids of the rows so far, each with a hash of its row's content.
#[derive(Debug, Default)]
pub(crate) struct EventIds(HashMap<Uuid, u64>);

/// How many rows of a file have the id of an earlier row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duplicates {
    pub all: i64,
    /// Those of which anything else is different.
    pub differing: i64,
}

impl EventIds {
    /// Counts the row in `duplicates` where its id is that of an earlier one.
    pub(super) fn add(&mut self, message: &Mapped, duplicates: &mut Duplicates) {
        let Ok(event) = serde_json::from_slice::<EventMessage<'_>>(&message.payload) else { return };
        let id = event.event_id;
        // The content without where it stands.
        let event = EventMessage { file_id: FileId::from(0), row: 0, written_us: 0, replaces: None, ..event };
        let content = hash(&serde_json::to_vec(&event).unwrap_or_default());
        let is_full = self.0.len() >= MOST;
        match self.0.entry(id) {
            Entry::Occupied(earlier) => {
                duplicates.all += 1;
                duplicates.differing += i64::from(*earlier.get() != content);
            }
            Entry::Vacant(new) if !is_full => drop(new.insert(content)),
            Entry::Vacant(_) => {}
        }
    }
}
