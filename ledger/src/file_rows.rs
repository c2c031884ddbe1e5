//! Which rows of each file are in the tables, counted from the tables themselves: the proof.
//!
//! Everything is read in one snapshot, so that it is exact while consumers write.

mod counted;

use std::collections::BTreeMap;

use common::RowSet;
use common::origin::Row;
use common::stream::StreamPosition;
use futures::TryStreamExt;
use secrecy::SecretString;
use sqlx::{Connection, PgConnection};

use crate::connect::Database;
use crate::error::Error;
use crate::file_totals::FileTotals;
use crate::migrate::check_schema;
use crate::rollback::{self, Rollback};
use counted::{BLOCK, Counted};

const READ: &str = "read which rows are in the tables";

/// The rows of one file that are in the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRows {
    /// `events`, `duplicates` and `corrupt_records` are counted from the tables.
    pub totals: FileTotals,
    /// Rows that are in a table.
    pub present: RowSet,
    /// Rows that are there more than once, by the tables that they are in, such as `events and duplicates`.
    pub twice: BTreeMap<String, RowSet>,
}

impl FileRows {
    /// Of a file that is not in the database.
    pub fn empty(file_id: i64, file: String) -> Self {
        Counted::default().into_file_rows(unknown(file_id, file))
    }

    /// The rows that were read and are in no table. While the file is open they may be on their way.
    pub fn missing(&self) -> RowSet {
        self.present.missing_up_to(self.totals.rows_read)
    }

    /// The rows that are there although they were not read, and those that are there twice.
    pub fn too_many(&self) -> RowSet {
        let beyond = self.beyond();
        let twice = self.twice.values().flat_map(|rows| rows.ranges());
        beyond.ranges().iter().chain(twice).copied().collect()
    }

    /// The rows that are there although they were not read: before the first, or behind the last one. What was read
    /// of an open file is not known yet, and of a truncated one at least what its totals say.
    pub fn beyond(&self) -> RowSet {
        let last = if self.totals.state == "finished" { self.totals.rows_read } else { Row::MAX };
        let outside =
            |&(first, end): &(Row, Row)| [(first, end.min(0)), (first.max(last.saturating_add(1)), end)];
        self.present.ranges().iter().flat_map(outside).filter(|(first, end)| first <= end).collect()
    }
}

/// Reads what is there of each file, in the order of their paths.
pub async fn read(url: &SecretString) -> Result<Vec<FileRows>, Error> {
    read_files(url, None).await
}

/// Reads what is there of `files`, or of all.
pub async fn read_files(url: &SecretString, files: Option<&[i64]>) -> Result<Vec<FileRows>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    check_schema(&mut connection).await?;
    snapshot(&mut connection, files).await.map_err(Error::of(READ))
}

/// Whether the database has lost commits: where it does not have all messages up to `acknowledged`. A standby may lag
/// behind, and is not checked.
pub async fn rollback(url: &SecretString, acknowledged: StreamPosition) -> Result<Option<Rollback>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    match rollback::check_acknowledged(&mut connection, acknowledged).await {
        Ok(()) | Err(Rollback::Standby) => Ok(None),
        Err(Rollback::Database(error)) => Err(Error::of(READ)(error)),
        Err(why) => Ok(Some(why)),
    }
}

async fn snapshot(connection: &mut PgConnection, files: Option<&[i64]>) -> sqlx::Result<Vec<FileRows>> {
    let mut snapshot =
        connection.begin_with("begin transaction isolation level repeatable read, read only").await?;
    let recorded: Vec<FileTotals> = sqlx::query_as(include_str!("../../sql/file_totals.sql"))
        .bind(files)
        .fetch_all(&mut *snapshot)
        .await?;
    let mut counted = count(&mut snapshot, files).await?;
    name_twice(&mut snapshot, &mut counted).await?;
    let known = recorded.into_iter().map(|totals| {
        let counted = counted.remove(&totals.file_id).unwrap_or_default();
        counted.into_file_rows(totals)
    });
    let mut files_rows: Vec<FileRows> = known.collect();
    let unknown = |(file_id, counted): (i64, Counted)| {
        counted.into_file_rows(unknown(file_id, format!("file {file_id}")))
    };
    files_rows.extend(counted.into_iter().map(unknown));
    Ok(files_rows)
}

/// A file of which there is neither an totals nor a record of a batch.
fn unknown(file_id: i64, file: String) -> FileTotals {
    FileTotals {
        file_id,
        file,
        rows_read: 0,
        events: 0,
        duplicates: 0,
        corrupt_records: 0,
        differing_duplicates: 0,
        closed: false,
        state: "open".to_owned(),
    }
}

/// A row of the statement: a block of a file, the bits of its rows, and the counts of each table.
type Block = (i64, i64, i64, i64, i64, i64);

async fn count(connection: &mut PgConnection, files: Option<&[i64]>) -> sqlx::Result<BTreeMap<i64, Counted>> {
    let mut counted = BTreeMap::<i64, Counted>::new();
    let mut blocks =
        sqlx::query_as::<_, Block>(include_str!("../../sql/present_rows.sql")).bind(files).fetch(connection);
    while let Some((file_id, block, bits, events, duplicates, corrupt_records)) = blocks.try_next().await? {
        let file = counted.entry(file_id).or_default();
        file.events += events;
        file.duplicates += duplicates;
        file.corrupt_records += corrupt_records;
        let bits = bits.cast_unsigned();
        file.add(block * BLOCK, bits);
        if events + duplicates + corrupt_records > i64::from(bits.count_ones()) {
            file.crowded.push(block);
        }
    }
    Ok(counted)
}

async fn name_twice(connection: &mut PgConnection, counted: &mut BTreeMap<i64, Counted>) -> sqlx::Result<()> {
    let crowded =
        counted.iter().flat_map(|(file_id, file)| file.crowded.iter().map(|block| (*file_id, *block)));
    let (files, blocks): (Vec<i64>, Vec<i64>) = crowded.unzip();
    if files.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i64, Row, String)> = sqlx::query_as(include_str!("../../sql/rows_there_twice.sql"))
        .bind(files)
        .bind(blocks)
        .fetch_all(connection)
        .await?;
    let mut twice = BTreeMap::<(i64, String), Vec<(Row, Row)>>::new();
    for (file_id, row, tables) in rows {
        twice.entry((file_id, tables)).or_default().push((row, row));
    }
    for ((file_id, tables), rows) in twice {
        counted.entry(file_id).or_default().twice.insert(tables, rows.into_iter().collect());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_rows(state: &str, rows_read: i64, present: &[(Row, Row)]) -> FileRows {
        let totals = FileTotals { rows_read, state: state.to_owned(), ..unknown(7, "a.csv".to_owned()) };
        FileRows { totals, present: present.iter().copied().collect(), twice: BTreeMap::new() }
    }

    #[test]
    fn what_is_missing_and_what_is_too_many_is_told_by_its_rows() {
        let mut finished = file_rows("finished", 9, &[(0, 2), (4, 6), (9, 12)]);
        finished.twice.insert("events and duplicates".to_owned(), [(5, 5)].into_iter().collect());
        assert_eq!(finished.missing().to_string(), "3, 7-8");
        assert_eq!(finished.too_many().to_string(), "0, 5, 10-12");
        let open = file_rows("open", 0, &[(1, 12)]);
        assert!(open.missing().is_empty() && open.too_many().is_empty());
        let truncated = file_rows("truncated", 9, &[(1, 10)]);
        assert!(truncated.missing().is_empty() && truncated.too_many().is_empty());
    }
}
