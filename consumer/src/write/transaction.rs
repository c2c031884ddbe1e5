//! One attempt to write a batch: one transaction from begin to commit.

use std::collections::HashSet;

use common::{Origin, fault};
use sqlx::{Executor, PgConnection};

use super::habit::Path;
use super::record::{self, Made};
use super::tally::Tally;
use super::{Error, Purpose, careful, fast};
use crate::batch::Batch;
use crate::decode::Corrupt;
use crate::verdict::Verdict;

/// How an attempt ended that did not fail.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The rows are in their tables for good.
    Committed(Tally),
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
    if path == Path::Careful {
        careful::prepare(connection).await?;
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
        Err(error) if error.verdict() == Verdict::Retry => {}
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
    let mut tally = Tally::default();
    if let Purpose::Table(table) = made.purpose {
        careful::insert(connection, batch, &mut tally, Some(table)).await?;
        record::batch(connection, batch, made, &tally, &[]).await?;
        return Ok(Attempt::Committed(tally));
    }
    let mut corrupt = not_events(batch);
    tally.redelivered += i64::try_from(batch.corrupt.len() - corrupt.len()).unwrap_or(0);
    let refused;
    let mut spans = Vec::new();
    match path {
        Path::Fast => {
            fast::insert(connection, batch, &mut tally).await?;
            spans.extend(fast::spans(&batch.rows));
        }
        Path::Careful => {
            refused = careful::insert(connection, batch, &mut tally, None).await?;
            corrupt.extend(&refused);
        }
    }
    record::corrupt(connection, batch, corrupt.iter().copied(), &mut tally).await?;
    record::replacements(connection, batch).await?;
    record::accounts(connection, batch).await?;
    let settled_before = record::batch(connection, batch, made, &tally, &spans).await?;
    Ok(if settled_before { Attempt::SettledBefore } else { Attempt::Committed(tally) })
}

/// The corrupt records of `batch` whose row does not come as an event in the same batch: one origin goes to one table.
fn not_events(batch: &Batch) -> Vec<&Corrupt> {
    let rejected: HashSet<Origin> = batch.corrupt.iter().filter_map(|record| record.origin).collect();
    let events = batch.rows.iter().map(|row| row.origin);
    let both: HashSet<Origin> = events.filter(|origin| rejected.contains(origin)).collect();
    let is_event = |record: &&Corrupt| record.origin.is_some_and(|origin| both.contains(&origin));
    batch.corrupt.iter().filter(|record| !is_event(record)).collect()
}
