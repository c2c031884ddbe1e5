//! Sends rows to a table by COPY.

use ledger::batch_id::BatchId;
use sqlx::PgConnection;

use crate::decode::Row;

/// Where rows belong.
pub(super) const EVENTS: &str = include_str!("../../../sql/copy_events.sql");
/// Where they wait while it is found out which of them are new.
pub(crate) const INCOMING: &str = include_str!("../../../sql/copy_incoming.sql");

/// Bytes sent at once; the driver copies them once more.
const CHUNK: usize = 64 << 10;

/// All of `rows`, each completed with the batch's id, or none.
pub(crate) async fn copy(
    connection: &mut PgConnection,
    statement: &str,
    batch: BatchId,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let end = format!("{}\n", batch.number);
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut chunk = Vec::with_capacity(CHUNK + (CHUNK >> 4));
    for row in rows {
        chunk.extend_from_slice(&row.line);
        chunk.extend_from_slice(end.as_bytes());
        if chunk.len() >= CHUNK {
            copy.send(chunk.as_slice()).await?;
            chunk.clear();
        }
    }
    if !chunk.is_empty() {
        copy.send(chunk).await?;
    }
    copy.finish().await?;
    Ok(())
}
