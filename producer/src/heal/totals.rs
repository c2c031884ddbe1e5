//! The accounts of files that the database does not know to be complete, as their checkpoints tell them.

use common::wire::FileState;

use super::missing_rows::MissingRows;
use super::snapshot::Before;
use crate::checkpoint::{Checkpoint, State};
use crate::map::Mapped;
use crate::tail::totals;

/// The accounts that are missing. Their revision is the one that they had, so that whatever a tailer has said since
/// counts more. With `is_alone` no tailer runs, and files that are still being read are ours too.
pub(super) fn missing(before: &Before, is_alone: bool, missing_rows: &mut MissingRows) -> Vec<Mapped> {
    let mut messages = Vec::new();
    for checkpoint in &before.checkpoints {
        let known = missing_rows.file(checkpoint);
        let is_known = known.revision.is_some();
        let is_behind = known.is_open || known.rows_read < checkpoint.reached.row;
        let state = match checkpoint.state {
            // Whoever reads on announces it when its end is read.
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
        announce(checkpoint, state, before, &mut messages, missing_rows);
    }
    messages
}

fn announce(
    checkpoint: &Checkpoint,
    state: FileState,
    before: &Before,
    messages: &mut Vec<Mapped>,
    missing_rows: &mut MissingRows,
) {
    // Without a mapping there is no source to name; the stream may have the account.
    let Some(mapping) = &checkpoint.mapping else { return };
    let known = missing_rows.file(checkpoint).revision;
    // Older checkpoints do not tell it; then it is the time of the look.
    let had = if checkpoint.revision > 0 { checkpoint.revision } else { before.taken.timestamp_micros() };
    let revision = known.map_or(had, |known| had.max(known.saturating_add(1)));
    if missing_rows.lacks_account(checkpoint.file_id, revision, checkpoint.reached.row) {
        messages.push(totals::message(checkpoint, mapping, state, revision));
    }
}
