//! Which rows of which files are missing: neither in the database nor in flight.

use std::collections::HashMap;

use common::origin::Row;
use common::{FileId, Origin, RowSet};

use super::{DatabaseFile, HealedFile};
use crate::checkpoint::Checkpoint;

/// The files of the database, of checkpoints and of the stream.
#[derive(Debug)]
pub(super) struct MissingRows(HashMap<FileId, Entry>);

#[derive(Debug)]
struct Entry {
    in_database: DatabaseFile,
    /// The largest number of rows that the database, a checkpoint or a message counts.
    rows: Row,
    from_stream: RowSet,
    from_file: RowSet,
    totals: bool,
    why: Option<String>,
}

impl MissingRows {
    pub(super) fn new(files: Vec<DatabaseFile>) -> Self {
        Self(files.into_iter().map(|file| (file.file_id, Entry::new(file))).collect())
    }

    /// What the database has of the file of `checkpoint`. Also counts the rows of the checkpoint.
    pub(super) fn file(&mut self, checkpoint: &Checkpoint) -> &DatabaseFile {
        let entry = self.entry(checkpoint.file_id);
        if entry.in_database.revision.is_none() {
            entry.in_database.file = checkpoint.path.display().to_string();
        }
        entry.rows = entry.rows.max(checkpoint.reached.row);
        &entry.in_database
    }

    /// Totals that are in flight.
    pub(super) fn announced(&mut self, file: FileId, revision: i64, rows_read: Row) {
        let entry = self.entry(file);
        entry.rows = entry.rows.max(rows_read);
        entry.in_database.revision = entry.in_database.revision.max(Some(revision));
    }

    /// As [`MissingRows::announced`]. Returns whether the database lacks them, so that they have to be published again.
    pub(super) fn lacks_totals(&mut self, file: FileId, revision: i64, rows_read: Row) -> bool {
        let lacks = self.entry(file).in_database.revision < Some(revision);
        if lacks {
            self.entry(file).totals = true;
            self.announced(file, revision, rows_read);
        }
        lacks
    }

    /// A row that will be delivered.
    pub(super) fn in_flight(&mut self, origin: Origin) {
        self.entry(origin.file).in_database.present.insert(origin.row);
    }

    /// Returns whether the row is missing, so that it has to be published again from the stream.
    pub(super) fn take_from_stream(&mut self, origin: Origin) -> bool {
        let entry = self.entry(origin.file);
        entry.in_database.present.insert(origin.row) && entry.from_stream.insert(origin.row)
    }

    /// The rows up to `last` that are missing.
    pub(super) fn missing(&mut self, file: FileId, last: Row) -> RowSet {
        self.entry(file).in_database.present.missing_up_to(last)
    }

    /// A row that is published again from its file.
    pub(super) fn take_from_file(&mut self, origin: Origin) {
        let entry = self.entry(origin.file);
        entry.in_database.present.insert(origin.row);
        entry.from_file.insert(origin.row);
    }

    /// Why the file's rows cannot be restored.
    pub(super) fn cannot(&mut self, file: FileId, why: String) {
        self.entry(file).why = Some(why);
    }

    /// The files of which something was missing, by path.
    pub(super) fn into_healed(self) -> Vec<HealedFile> {
        let mut files: Vec<HealedFile> = self.0.into_values().filter_map(Entry::into_healed).collect();
        files.sort_by(|a, b| (&a.file, a.file_id).cmp(&(&b.file, b.file_id)));
        files
    }

    fn entry(&mut self, file_id: FileId) -> &mut Entry {
        self.0.entry(file_id).or_insert_with(|| {
            Entry::new(DatabaseFile {
                file_id,
                file: format!("file {file_id}"),
                revision: None,
                rows_read: 0,
                is_open: true,
                present: RowSet::EMPTY,
            })
        })
    }
}

impl Entry {
    fn new(in_database: DatabaseFile) -> Self {
        Self {
            rows: in_database.rows_read,
            in_database,
            from_stream: RowSet::EMPTY,
            from_file: RowSet::EMPTY,
            totals: false,
            why: None,
        }
    }

    fn into_healed(self) -> Option<HealedFile> {
        let lost = self.in_database.present.missing_up_to(self.rows);
        let why = match self.why {
            _ if lost.is_empty() => String::new(),
            Some(why) => why,
            None => "they are neither in the stream nor in a file that has a checkpoint here".to_owned(),
        };
        let healed = HealedFile {
            file_id: self.in_database.file_id,
            file: self.in_database.file,
            from_stream: self.from_stream,
            from_file: self.from_file,
            totals: self.totals,
            lost,
            why,
        };
        let is_whole = healed.from_stream.is_empty()
            && healed.from_file.is_empty()
            && healed.lost.is_empty()
            && !healed.totals;
        (!is_whole).then_some(healed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(row: Row) -> Origin {
        Origin { file: FileId::from(7), row }
    }

    fn in_database(rows_read: Row, present: &[(Row, Row)]) -> DatabaseFile {
        DatabaseFile {
            file_id: FileId::from(7),
            file: "a.csv".to_owned(),
            revision: Some(3),
            rows_read,
            is_open: false,
            present: present.iter().copied().collect(),
        }
    }

    #[test]
    fn a_row_is_missing_once_and_not_when_it_comes_by_itself() {
        let mut missing_rows = MissingRows::new(vec![in_database(6, &[(1, 2)])]);
        missing_rows.in_flight(origin(6));
        let missing = [1, 3, 3, 6].map(|row| missing_rows.take_from_stream(origin(row)));
        assert_eq!(missing, [false, true, false, false]);
        assert_eq!(missing_rows.missing(FileId::from(7), 6).to_string(), "4-5");
        missing_rows.take_from_file(origin(4));
        let healed = &missing_rows.into_healed()[0];
        assert_eq!((healed.from_stream.to_string(), healed.from_file.to_string()), ("3".into(), "4".into()));
        assert_eq!((healed.lost.to_string(), healed.why.is_empty()), ("5".into(), false));
    }

    #[test]
    fn totals_are_missing_where_the_database_has_older_ones() {
        let mut missing_rows = MissingRows::new(vec![in_database(2, &[(1, 2)])]);
        let file = FileId::from(7);
        assert!(!missing_rows.lacks_totals(file, 3, 2) && missing_rows.lacks_totals(file, 5, 4));
        assert!(!missing_rows.lacks_totals(file, 4, 3), "a newer one is on its way");
        let healed = missing_rows.into_healed();
        assert_eq!((healed[0].totals, healed[0].lost.to_string()), (true, "3-4".to_owned()));
    }

    #[test]
    fn a_file_that_lacks_nothing_is_not_listed() {
        assert!(MissingRows::new(vec![in_database(2, &[(1, 2)])]).into_healed().is_empty());
    }
}
