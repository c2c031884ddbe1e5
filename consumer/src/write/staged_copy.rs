//! The staged path: rows go into a temporary table, from there the new ones into `events` and those whose event id
//! belongs to another row into `duplicates`. Rows that PostgreSQL refuses, because
//! of a value or because of their size, are found by halving.

use std::ops::Range;

use common::ErrorClass;
use ledger::batch_id::BatchId;
use ledger::{Refusal, classify, refusal};
use sqlx::{Executor, PgConnection};

use super::Error;
use super::copy::{INCOMING, copy};
use super::counts::BatchCounts;
use super::refused;
use crate::batch::Batch;
use crate::decode::{Corrupt, Row};

/// From this size on a batch that is refused for the most part is taken for a mistake in the schema.
const LARGE: usize = 1_000;

/// Makes the temporary table where the connection has none yet.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(include_str!("../../../sql/create_incoming.sql")).await?;
    Ok(())
}

/// Settles each row of `batch`, and returns those that were refused as records to be kept. With a statement of its own
/// for `other`, rows go there and nowhere else.
pub(super) async fn insert(
    connection: &mut PgConnection,
    batch: &Batch,
    counts: &mut BatchCounts,
    other: Option<&str>,
) -> Result<Vec<Corrupt>, Error> {
    let rows = &batch.rows;
    let mut refused = Vec::new();
    // Halves that are still to be tried, the first on top, so that keys stay in order.
    let mut parts: Vec<Range<usize>> = Vec::new();
    if !rows.is_empty() {
        parts.push(0..rows.len());
    }
    while let Some(part) = parts.pop() {
        connection.execute("savepoint part").await?;
        let error = match settle(connection, batch.id, &rows[part.clone()], counts, other).await {
            Ok(()) => {
                connection.execute("release savepoint part").await?;
                continue;
            }
            Err(error) if matches!(refusal(&error), Some(Refusal::BadData | Refusal::TooLarge)) => error,
            Err(error) => return Err(error.into()),
        };
        connection.execute("rollback to savepoint part; release savepoint part").await?;
        if part.len() > 1 {
            let middle = usize::midpoint(part.start, part.end);
            parts.push(middle..part.end);
            parts.push(part.start..middle);
            continue;
        }
        let row = &rows[part.start];
        if refusal(&error) == Some(Refusal::TooLarge)
            && !is_taken_without_values(connection, batch.id, row, other).await?
        {
            return Err(error.into());
        }
        refused.push(refused::record(row, &error));
        if rows.len() >= LARGE && refused.len() * 2 > rows.len() {
            return Err(Error::MostlyRefused { rows: rows.len(), example: error.to_string() });
        }
    }
    Ok(refused)
}

/// Whether PostgreSQL accepts `row` without its optional values, so that a limit which it exceeds is due to those and
/// not to a trigger, for example, that fails for every row. Nothing of it stays.
async fn is_taken_without_values(
    connection: &mut PgConnection,
    batch: BatchId,
    row: &Row,
    other: Option<&str>,
) -> Result<bool, Error> {
    connection.execute("savepoint probe").await?;
    let row = row.without_values();
    let settled =
        settle(connection, batch, std::slice::from_ref(&row), &mut BatchCounts::default(), other).await;
    connection.execute("rollback to savepoint probe; release savepoint probe").await?;
    match settled {
        Err(error) if refusal(&error) == Some(Refusal::TooLarge) => Ok(false),
        Err(error) if classify(&error) == ErrorClass::Transient => Err(error.into()),
        Ok(()) | Err(_) => Ok(true),
    }
}

/// All of `rows`, or none.
async fn settle(
    connection: &mut PgConnection,
    batch: BatchId,
    rows: &[Row],
    counts: &mut BatchCounts,
    other: Option<&str>,
) -> Result<(), sqlx::Error> {
    copy(connection, INCOMING, batch, rows).await?;
    let mut there = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if let Some(statement) = other {
        let new = count(&by_file(connection, statement).await?);
        // It is not in `events`, so it does not count as the file's.
        counts.file(None).events += new;
        there -= new;
    } else {
        let new: Vec<(i64, i64, i64, i64)> =
            sqlx::query_as(include_str!("../../../sql/insert_new.sql")).fetch_all(&mut *connection).await?;
        for (file, block, bits, rows) in new {
            there -= rows;
            counts.add_events(file, block, bits, rows);
        }
        if there > 0 {
            // A statement of its own: see the file.
            let duplicates = by_file(connection, include_str!("../../../sql/insert_duplicates.sql")).await?;
            there -= count(&duplicates);
            for (file, rows) in duplicates {
                counts.file(file).duplicates += rows;
            }
        }
    }
    connection.execute(include_str!("../../../sql/clear_incoming.sql")).await?;
    counts.redelivered += there;
    Ok(())
}

/// How many rows of each file a statement has put where it puts them.
async fn by_file(
    connection: &mut PgConnection,
    statement: &str,
) -> Result<Vec<(Option<i64>, i64)>, sqlx::Error> {
    sqlx::query_as(statement).fetch_all(connection).await
}

fn count(by_file: &[(Option<i64>, i64)]) -> i64 {
    by_file.iter().map(|(_, rows)| rows).sum()
}
