//! One attempt to write a batch: one transaction from begin to commit.

use std::collections::HashSet;

use common::{Classify as _, ErrorClass, Origin, fault};
use sqlx::{Executor, PgConnection};

use super::counts::BatchCounts;
use super::path_selector::Path;
use super::record::{self, Made};
use super::{Error, Target, direct_copy, staged_copy};
use crate::batch::Batch;
use crate::decode::Corrupt;

/// How an attempt ended that did not fail.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The rows are in their tables for good.
    Committed(BatchCounts),
    /// Nothing was written: a row that the fast path put into `events` may have gone to another table before.
    SettledBefore,
}

/// Writes `batch` by `path`, or nothing.
pub(super) async fn attempt(
    connection: &mut PgConnection,
    batch: &Batch,
    path: Path,
    made: Made<'_>,
) -> Result<Attempt, Error> {
    if path == Path::Staged {
        staged_copy::prepare(connection).await?;
    }
    connection.execute("begin").await?;
    let written = write(connection, batch, path, made).await;
    match &written {
        Ok(Attempt::Committed(_)) => {
            fault::point("before_commit");
            connection.execute("commit").await?;
            fault::point("after_commit");
        }
        // A connection that has to be made anew rolls back by itself.
        Err(error) if error.class() == ErrorClass::Transient => {}
        Ok(Attempt::SettledBefore) | Err(_) => {
            connection.execute("rollback").await?;
        }
    }
    written
}

async fn write(
    connection: &mut PgConnection,
    batch: &Batch,
    path: Path,
    made: Made<'_>,
) -> Result<Attempt, Error> {
    let mut counts = BatchCounts::default();
    if let Target::Other { insert } = made.target {
        staged_copy::insert(connection, batch, &mut counts, Some(insert)).await?;
        record::batch(connection, batch, made, &counts, &[]).await?;
        return Ok(Attempt::Committed(counts));
    }
    let mut corrupt = not_events(batch);
    counts.redelivered += i64::try_from(batch.corrupt.len() - corrupt.len()).unwrap_or(0);
    let refused;
    let mut spans = Vec::new();
    match path {
        Path::Direct => {
            direct_copy::insert(connection, batch, &mut counts).await?;
            spans.extend(direct_copy::spans(&batch.rows));
        }
        Path::Staged => {
            refused = staged_copy::insert(connection, batch, &mut counts, None).await?;
            corrupt.extend(&refused);
        }
    }
    record::corrupt(connection, batch, corrupt.iter().copied(), &mut counts).await?;
    record::replacements(connection, batch).await?;
    record::totals(connection, batch).await?;
    let settled_before = record::batch(connection, batch, made, &counts, &spans).await?;
    Ok(if settled_before { Attempt::SettledBefore } else { Attempt::Committed(counts) })
}

/// The corrupt records of `batch` whose row does not come as an event in the same batch: one origin goes to one table.
fn not_events(batch: &Batch) -> Vec<&Corrupt> {
    let rejected: HashSet<Origin> = batch.corrupt.iter().filter_map(|record| record.origin).collect();
    let events = batch.rows.iter().map(|row| row.origin);
    let both: HashSet<Origin> = events.filter(|origin| rejected.contains(origin)).collect();
    let is_event = |record: &&Corrupt| record.origin.is_some_and(|origin| both.contains(&origin));
    batch.corrupt.iter().filter(|record| !is_event(record)).collect()
}
