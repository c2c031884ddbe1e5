//! The proof that rows have committed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use common::{Clock, FileId};

use super::counts::BatchCounts;
use crate::Counts;
use crate::batch::Batch;
use crate::fetch::Reply;
use crate::progress::Progress;

/// Messages whose transaction has committed.
///
/// Only `write` makes one and `ack` asks for one, so that acknowledging a row that could still be rolled back does
/// not compile.
#[derive(Debug)]
#[must_use = "what is not acknowledged is delivered again"]
pub(crate) struct Committed {
    replies: Vec<Reply>,
    /// When the stream was created from which they came.
    pub(crate) stream_created: DateTime<Utc>,
    pub(crate) counts: Counts,
    /// The files of which it held rows or totals.
    pub(crate) files: BTreeSet<i64>,
}

impl Committed {
    /// `batch` has just committed as `counts` says. Drops the rows, which makes room for others.
    pub(super) fn new(batch: Batch, counts: &BatchCounts, clock: Clock, progress: &Progress) -> Self {
        let counts = counts.counts();
        let now_us = clock.micros();
        // A row that was there before does not show how long rows take.
        let fresh = if counts.redelivered == 0 { &*batch.rows } else { &[] };
        let latencies =
            fresh.iter().map(|row| u64::try_from(now_us.saturating_sub(row.written_us)).unwrap_or(0));
        progress.committed(counts, latencies);
        tracing::debug!(
            batch = batch.id.number,
            rows = batch.replies.len(),
            events = counts.events,
            duplicates = counts.duplicates,
            corrupt = counts.corrupt,
            redelivered = counts.redelivered,
            "committed"
        );
        let rows = batch.rows.iter().map(|row| row.origin.file);
        let corrupt = batch.corrupt.iter().filter_map(|record| Some(record.origin?.file));
        let files = rows.chain(corrupt).chain(batch.totals.keys().copied()).map(FileId::get).collect();
        Self { replies: batch.replies, stream_created: batch.last.stream_created, counts, files }
    }

    /// Where to acknowledge them.
    pub(crate) fn into_replies(self) -> Vec<Reply> {
        self.replies
    }
}
