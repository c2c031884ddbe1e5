//! Files that are gone, or were rewritten, before they were closed: what was read of them stands, and the ledger is
//! told so. Checkpoints enter, accounts leave, each with the mark behind it that says that it arrived.
//!
//! Before it is sent the checkpoint says on disk that an account is owed, so that no crash can lose it; a later start
//! sends it again. What it tells then is what was acknowledged by the last checkpoint, while more may be in the stream.

use common::wire::FileState;

use crate::checkpoint::{self, Checkpoint, State};
use crate::tail::reading::Chunk;
use crate::tail::tailed_file::Context;
use crate::tail::totals;

/// Ends the reading of a file, which stands at `checkpoint`.
pub(super) fn truncate(
    context: &Context,
    checkpoint: &Checkpoint,
    chunk: &mut Chunk,
) -> Result<(), checkpoint::Error> {
    context.store.truncate(checkpoint.file_id)?;
    tell(context, checkpoint, chunk)
}

/// The accounts that the stream may lack: a crash, or the loss of the stream, came in between.
pub(super) fn tell_owed(context: &Context, chunk: &mut Chunk) -> Result<(), checkpoint::Error> {
    for checkpoint in context.store.open_files(|checkpoint| checkpoint.totals_pending) {
        tell(context, &checkpoint, chunk)?;
    }
    Ok(())
}

fn tell(context: &Context, checkpoint: &Checkpoint, chunk: &mut Chunk) -> Result<(), checkpoint::Error> {
    let Some(mapping) = &checkpoint.mapping else { return Ok(()) };
    let revision = context.store.next_revision(context.clock)?;
    chunk.messages.push(totals::message(checkpoint, mapping, FileState::Truncated, revision));
    chunk.marks.push(Checkpoint { state: State::Truncated, revision, ..checkpoint.clone() });
    Ok(())
}
