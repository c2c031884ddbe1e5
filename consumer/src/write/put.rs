//! Sends rows to a table: many by COPY, few by one INSERT.

use sqlx::PgConnection;

use crate::batch::BatchId;
use crate::decode::{FIELDS, Row};

/// Up to so many rows INSERT is used. It costs the server more a row, but the last message of a COPY may be held
/// back for 40 ms: the driver does not switch Nagle's algorithm off.
const FEW: usize = 256;
/// Bytes sent at once; the driver copies them once more.
const CHUNK: usize = 64 << 10;

/// How rows get into one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    copy: &'static str,
    insert: &'static str,
}

/// Where they belong.
pub(super) const EVENTS: Target = Target {
    copy: include_str!("../../../sql/copy_events.sql"),
    insert: include_str!("../../../sql/insert_events.sql"),
};

/// Where they wait while it is found out which of them are new.
pub(super) const INCOMING: Target = Target {
    copy: include_str!("../../../sql/copy_incoming.sql"),
    insert: include_str!("../../../sql/insert_incoming.sql"),
};

/// All of `rows`, each completed with the batch's id, or none.
pub(super) async fn put(
    connection: &mut PgConnection,
    target: Target,
    batch: BatchId,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    if rows.len() <= FEW {
        insert(connection, target.insert, batch, rows).await
    } else {
        copy(connection, target.copy, batch, rows).await
    }
}

async fn insert(
    connection: &mut PgConnection,
    statement: &'static str,
    batch: BatchId,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let mut columns = FIELDS.map(|_| Vec::with_capacity(rows.len()));
    for row in rows {
        for (column, (_, value)) in columns.iter_mut().zip(row.fields()) {
            column.push(value);
        }
    }
    let mut query = sqlx::query(statement).bind(batch.0);
    for column in &columns {
        query = query.bind(column);
    }
    query.execute(connection).await?;
    Ok(())
}

async fn copy(
    connection: &mut PgConnection,
    statement: &str,
    batch: BatchId,
    rows: &[Row],
) -> Result<(), sqlx::Error> {
    let end = format!("{}\n", batch.0);
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
