//! What became of edited rows, for people and for scripts.

use std::path::Path;

use common::printable::Printable;
use ledger::rejects::Reject;
use serde::Serialize;

use crate::rejects::count;
use crate::rejects::list::{ListedReject, shown};
use crate::run_report::path_as_text;

/// What became of the rows.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    #[serde(serialize_with = "path_as_text")]
    pub(super) file: &'a Path,
    #[serde(serialize_with = "path_as_text")]
    pub(super) landed: &'a Path,
    pub(super) rows_sent: i64,
    pub(super) events: i64,
    pub(super) duplicates: i64,
    pub(super) rejected_again: i64,
    pub(super) rejects: Vec<ListedReject<'a>>,
    /// Rejected rows that these rows have taken the place of.
    pub(super) closed: i64,
    /// Rejected rows that are still to be mended, those that were rejected again among them.
    pub(super) still_open: i64,
}

impl Report<'_> {
    /// For people; `rejects` are the first rows that were rejected again.
    pub(super) fn to_text(&self, rejects: &[Reject]) -> String {
        let mut lines = vec![format!(
            "{}: {} sent: {}, {}, {} rejected again",
            Printable(self.file.display()),
            count(self.rows_sent, "row"),
            count(self.events, "event"),
            count(self.duplicates, "duplicate"),
            self.rejected_again
        )];
        for reject in rejects {
            let row = reject.origin.map_or(0, |origin| origin.row);
            lines.push(format!("  row {row}, {}: {}", reject.reason, shown(&reject.message)));
        }
        let shown = i64::try_from(rejects.len()).unwrap_or(i64::MAX);
        if self.rejected_again > shown {
            lines.push(format!("  … and {} more", self.rejected_again - shown));
        }
        lines.push(format!("{} closed, {} still open", count(self.closed, "reject"), self.still_open));
        lines.join("\n")
    }
}
