//! Files that were removed or rewritten before they were closed. Their rows are kept, and their totals are sent.
//! Checkpoints enter, totals leave, each with a mark behind it that is reached when the totals are acknowledged.
//!
//! Before the totals are sent, the checkpoint on disk notes that they are pending, so that a crash cannot lose them: the
//! next start sends them again. They then count what was acknowledged by the last checkpoint, while more rows may be in
//! the stream.

use common::wire::FileState;

use crate::checkpoint::{self, Checkpoint, State};
use crate::tail::reading::Chunk;
use crate::tail::tailed_file::Context;
use crate::tail::totals;

pub(super) fn truncate(
    context: &Context,
    checkpoint: &Checkpoint,
    chunk: &mut Chunk,
) -> Result<(), checkpoint::Error> {
    context.store.truncate(checkpoint.file_id)?;
    add_totals(context, checkpoint, chunk)
}

/// Totals that may be missing in the stream, after a crash or a loss of data.
pub(super) fn pending_totals(context: &Context, chunk: &mut Chunk) -> Result<(), checkpoint::Error> {
    for checkpoint in context.store.open_files(|checkpoint| checkpoint.totals_pending) {
        add_totals(context, &checkpoint, chunk)?;
    }
    Ok(())
}

fn add_totals(
    context: &Context,
    checkpoint: &Checkpoint,
    chunk: &mut Chunk,
) -> Result<(), checkpoint::Error> {
    let Some(mapping) = &checkpoint.mapping else { return Ok(()) };
    let revision = context.store.next_revision(context.clock)?;
    chunk.messages.push(totals::message(checkpoint, mapping, FileState::Truncated, revision));
    chunk.marks.push(Checkpoint { state: State::Truncated, revision, ..checkpoint.clone() });
    Ok(())
}
