//! What a transaction holds besides rows: corrupt records, totals of files, and the batch's own record with its
//! counts by file.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use common::wire::FileMessage;
use serde_json::Value;
use sqlx::PgConnection;

use super::Target;
use super::counts::BatchCounts;
use super::direct_copy::Span;
use crate::batch::Batch;
use crate::decode::Corrupt;

/// Who makes the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made<'a> {
    pub(super) replica: &'a str,
    /// When a writer took it up, in microseconds since 1970.
    pub(super) began_us: i64,
    pub(super) target: &'a Target,
}

/// Inserts corrupt records, each once.
pub(super) async fn corrupt<'a>(
    connection: &mut PgConnection,
    batch: &Batch,
    records: impl ExactSizeIterator<Item = &'a Corrupt> + Clone,
    counts: &mut BatchCounts,
) -> Result<(), sqlx::Error> {
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(());
    }
    let kept: Vec<(Option<i64>, i64)> = sqlx::query_as(include_str!("../../../sql/insert_corrupt.sql"))
        .bind(batch.id.number)
        .bind(column(&records, |record| record.origin.map(|origin| origin.file.get())))
        .bind(column(&records, |record| record.origin.map(|origin| origin.row)))
        .bind(column(&records, |record| record.span.map(|(start, _)| start)))
        .bind(column(&records, |record| record.span.map(|(_, end)| end)))
        .bind(column(&records, |record| record.stage.to_string()))
        .bind(column(&records, |record| record.reason.to_string()))
        .bind(column(&records, |record| record.message.as_str()))
        .bind(column(&records, |record| record.column.as_deref()))
        .bind(column(&records, |record| record.value.as_deref()))
        .bind(column(&records, |record| record.raw.as_slice()))
        .bind(column(&records, |record| record.truncated))
        .bind(column(&records, |record| record.position.stream_created))
        .bind(column(&records, |record| number(record.position.sequence)))
        .fetch_all(connection)
        .await?;
    counts.redelivered += count;
    for (file, new) in kept {
        counts.file(file).corrupt += new;
        counts.redelivered -= new;
    }
    Ok(())
}

/// Puts the numbers of corrupt records behind those that are used.
pub(super) async fn advance_ids(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../../sql/advance_record_ids.sql")).execute(connection).await?;
    Ok(())
}

/// Closes the corrupt records that rows of the batch take the place of.
pub(super) async fn replacements(connection: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let replacements = batch.replacements.iter();
    if replacements.len() == 0 {
        return Ok(());
    }
    sqlx::query(include_str!("../../../sql/close_replaced.sql"))
        .bind(column(&replacements, |one| one.rejected.file.get()))
        .bind(column(&replacements, |one| one.rejected.row))
        .bind(column(&replacements, |one| one.by.file.get()))
        .bind(column(&replacements, |one| one.by.row))
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores the totals of files.
pub(super) async fn totals(connection: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    let files = batch.totals.values();
    if files.len() == 0 {
        return Ok(());
    }
    sqlx::query(include_str!("../../../sql/upsert_files.sql"))
        .bind(column(&files, |file| file.file_id.get()))
        .bind(column(&files, |file| file.revision))
        .bind(column(&files, |file| file.path.as_str()))
        .bind(column(&files, |file| file.source.as_str()))
        .bind(column(&files, |file| file.bytes))
        .bind(column(&files, |file| file.state.to_string()))
        .bind(column(&files, |file| file.rows_read))
        .bind(column(&files, |file| file.published))
        .bind(column(&files, |file| file.rejected))
        .bind(column(&files, header))
        .bind(column(&files, |file| file.delimiter.map(String::from)))
        .execute(connection)
        .await?;
    Ok(())
}

/// The column names as JSON, where they are known.
fn header(file: &FileMessage) -> Option<Value> {
    (!file.header.is_empty()).then(|| file.header.iter().map(String::as_str).collect())
}

/// Records the batch and its counts. Returns whether one of the rows of `spans` was settled otherwise before.
pub(super) async fn batch(
    connection: &mut PgConnection,
    batch: &Batch,
    made: Made<'_>,
    counts: &BatchCounts,
    spans: &[(i64, Span)],
) -> Result<bool, sqlx::Error> {
    let total = counts.total();
    let files: Vec<_> = counts.files.iter().filter_map(|(file, added)| Some(((*file)?, *added))).collect();
    let (files, spans, blocks) = (files.iter(), spans.iter(), counts.blocks.iter());
    let settled: Vec<(i64, i64)> = sqlx::query_as(include_str!("../../../sql/record_batch.sql"))
        .bind(batch.id.number)
        .bind(made.replica)
        .bind(batch.last.stream_created)
        .bind(number(batch.first.sequence))
        .bind(number(batch.last.sequence))
        .bind(i64::try_from(batch.rows.len() + batch.corrupt.len()).unwrap_or(i64::MAX))
        .bind(total.events)
        .bind(total.duplicates)
        .bind(counts.redelivered)
        .bind(total.corrupt)
        .bind(oldest_written(batch))
        .bind(DateTime::from_timestamp_micros(batch.fetched_us))
        .bind(DateTime::from_timestamp_micros(made.began_us))
        .bind(column(&files, |(file, _)| *file))
        .bind(column(&files, |(_, added)| added.events))
        .bind(column(&files, |(_, added)| added.duplicates))
        .bind(column(&files, |(_, added)| added.corrupt))
        .bind(column(&spans, |(file, _)| *file))
        .bind(column(&spans, |(_, span)| span.first))
        .bind(column(&spans, |(_, span)| span.last))
        .bind(!matches!(made.target, Target::Tables { is_counted: true }))
        .bind(batch.id.run)
        .bind(column(&blocks, |((file, _), _)| *file))
        .bind(column(&blocks, |((_, block), _)| *block))
        .bind(column(&blocks, |(_, bits)| *bits))
        .fetch_all(connection)
        .await?;
    if settled.is_empty() {
        return Ok(false);
    }
    // Mostly they are the rejected rows between those of the batch.
    let settled: HashSet<(i64, i64)> = settled.into_iter().collect();
    Ok(batch.rows.iter().any(|row| settled.contains(&(row.origin.file.get(), row.origin.row))))
}

/// The counts of the batch, if an earlier attempt of `replica` to write it has committed.
pub(super) async fn find(
    connection: &mut PgConnection,
    batch: &Batch,
    replica: &str,
) -> Result<Option<BatchCounts>, sqlx::Error> {
    let found: Option<(i32, i32, i32, i32)> = sqlx::query_as(include_str!("../../../sql/find_batch.sql"))
        .bind(batch.id.number)
        .bind(batch.id.run)
        .bind(replica)
        .bind(batch.last.stream_created)
        .bind(number(batch.first.sequence))
        .bind(number(batch.last.sequence))
        .fetch_optional(connection)
        .await?;
    Ok(found.map(|(events, duplicates, redelivered, corrupt)| {
        let mut counts = BatchCounts { redelivered: redelivered.into(), ..BatchCounts::default() };
        let added = counts.file(None);
        (added.events, added.duplicates, added.corrupt) = (events.into(), duplicates.into(), corrupt.into());
        counts
    }))
}

/// When its oldest row was written. A time that no file can have, of a foreign publisher, does not count.
fn oldest_written(batch: &Batch) -> Option<DateTime<Utc>> {
    let written = batch.rows.iter().map(|row| row.written_us);
    written.filter(|&us| us >= 0).min().and_then(DateTime::from_timestamp_micros)
}

/// One column of many rows, as an array parameter.
fn column<I: Iterator + Clone, T>(rows: &I, value: impl FnMut(I::Item) -> T) -> Vec<T> {
    rows.clone().map(value).collect()
}

/// Sequences are below 2^63 for longer than anyone will run this.
fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
