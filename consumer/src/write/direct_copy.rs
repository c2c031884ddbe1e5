//! The direct path: rows are copied into `events`. One that is there already, or is refused, fails all of them.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::copy::{EVENTS, copy};
use super::counts::BatchCounts;
use crate::batch::Batch;
use crate::decode::Row;

/// The rows that a batch holds of one file lie between these two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    batch: &Batch,
    counts: &mut BatchCounts,
) -> Result<(), sqlx::Error> {
    if batch.rows.is_empty() {
        return Ok(());
    }
    copy(connection, EVENTS, batch.id, &batch.rows).await?;
    for row in &batch.rows {
        let number = row.origin.row;
        counts.add_events(row.origin.file.get(), number >> 6, 1 << (number & 63), 1);
    }
    Ok(())
}

/// By file, for the question whether one of them has been settled otherwise before.
pub(super) fn spans(rows: &[Row]) -> BTreeMap<i64, Span> {
    let mut spans = BTreeMap::new();
    for row in rows {
        let at = row.origin.row;
        let span = spans.entry(row.origin.file.get()).or_insert(Span { first: at, last: at });
        span.first = span.first.min(at);
        span.last = span.last.max(at);
    }
    spans
}
