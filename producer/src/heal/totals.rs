//! The totals of files that are not complete in the database, from their checkpoints.

use common::wire::FileState;

use super::missing_rows::MissingRows;
use super::snapshot::Snapshot;
use crate::checkpoint::{Checkpoint, State};
use crate::map::Mapped;
use crate::tail::totals;

/// The totals that are missing. They keep their revision, so that later ones of a tailer replace them. With `is_alone` no
/// tailer is running, and those of open files are sent too.
pub(super) fn missing(snapshot: &Snapshot, is_alone: bool, missing_rows: &mut MissingRows) -> Vec<Mapped> {
    let mut messages = Vec::new();
    for checkpoint in &snapshot.checkpoints {
        let known = missing_rows.file(checkpoint);
        let is_known = known.revision.is_some();
        let is_behind = known.is_open || known.rows_read < checkpoint.reached.row;
        let state = match checkpoint.state {
            // A tailer sends them when it has read the end of the file.
            State::Reading if is_known || !is_alone => continue,
            State::Reading => FileState::Open,
            _ if is_known && !is_behind => continue,
            State::Truncated => FileState::Truncated,
            State::Archiving { .. }
            | State::Copied { .. }
            | State::Archived { .. }
            | State::Kept
            | State::Deleting
            | State::Deleted => FileState::Finished,
        };
        announce(checkpoint, state, snapshot, &mut messages, missing_rows);
    }
    messages
}

fn announce(
    checkpoint: &Checkpoint,
    state: FileState,
    snapshot: &Snapshot,
    messages: &mut Vec<Mapped>,
    missing_rows: &mut MissingRows,
) {
    // Without a mapping the source is unknown. The stream may have the totals.
    let Some(mapping) = &checkpoint.mapping else { return };
    let known = missing_rows.file(checkpoint).revision;
    // Older checkpoints have no revision. Then it is the time of the snapshot.
    let of_checkpoint =
        if checkpoint.revision > 0 { checkpoint.revision } else { snapshot.taken.timestamp_micros() };
    let revision = known.map_or(of_checkpoint, |known| of_checkpoint.max(known.saturating_add(1)));
    if missing_rows.lacks_totals(checkpoint.file_id, revision, checkpoint.reached.row) {
        messages.push(totals::message(checkpoint, mapping, state, revision));
    }
}
