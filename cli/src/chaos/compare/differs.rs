//! Whether duplicates say rightly that they differ from their events. All rows enter; those that are wrong leave.
//!
//! The columns that are compared are those that the writer fills, as both tables hold them: that they are as written is
//! found elsewhere.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use ledger::row_outcomes::{RowOutcome, Table};
use uuid::Uuid;

use super::Findings;

/// The content of each event, as a hash, and every duplicate.
#[derive(Debug, Default)]
pub(super) struct Differs {
    hasher: RandomState,
    events: HashMap<Uuid, u64>,
    duplicates: Vec<Duplicate>,
}

#[derive(Debug)]
struct Duplicate {
    event_id: Uuid,
    content: u64,
    differs: bool,
    file_id: i64,
    row: i64,
}

impl Differs {
    pub(super) fn add(&mut self, row: &RowOutcome) {
        match &row.table {
            Table::Events { event_id, content } => {
                self.events.insert(*event_id, self.hasher.hash_one(content));
            }
            Table::Duplicates { event_id, content, differs } => self.duplicates.push(Duplicate {
                event_id: *event_id,
                content: self.hasher.hash_one(content),
                differs: *differs,
                file_id: row.file_id.unwrap_or(0),
                row: row.row.unwrap_or(0),
            }),
            Table::Corrupt(_) => {}
        }
    }

    /// When every row has been added. Duplicates without an event are counted elsewhere.
    pub(super) fn compare(&self, findings: &mut Findings) {
        for Duplicate { event_id, content, differs, file_id, row } in &self.duplicates {
            let is_another = self.events.get(event_id).is_some_and(|event| (event != content) != *differs);
            if is_another {
                findings.wrong += 1;
                findings
                    .name(format!("wrong: duplicate row {row} of file_id {file_id}: differs is {differs}"));
            }
        }
    }
}
