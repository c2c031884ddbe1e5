//! Which rows of which files are missing: what the database has, and what is on its way there.

use std::collections::HashMap;

use common::origin::Row;
use common::{FileId, Origin, RowSet};

use super::{Known, Refilled};
use crate::checkpoint::Checkpoint;

/// All files that anybody knows of.
#[derive(Debug)]
pub(super) struct MissingRows(HashMap<FileId, Entry>);

#[derive(Debug)]
struct Entry {
    known: Known,
    /// The rows that it has, by everyone who counts them.
    rows: Row,
    from_stream: RowSet,
    from_file: RowSet,
    account: bool,
    why: Option<String>,
}

impl MissingRows {
    pub(super) fn new(known: Vec<Known>) -> Self {
        Self(known.into_iter().map(|known| (known.file_id, Entry::new(known))).collect())
    }

    /// What the database has of the file of `checkpoint`, whose rows it counts too.
    pub(super) fn file(&mut self, checkpoint: &Checkpoint) -> &Known {
        let entry = self.entry(checkpoint.file_id);
        if entry.known.revision.is_none() {
            entry.known.file = checkpoint.path.display().to_string();
        }
        entry.rows = entry.rows.max(checkpoint.reached.row);
        &entry.known
    }

    /// Takes note of an account that is on its way.
    pub(super) fn announced(&mut self, file: FileId, revision: i64, rows_read: Row) {
        let entry = self.entry(file);
        entry.rows = entry.rows.max(rows_read);
        entry.known.revision = entry.known.revision.max(Some(revision));
    }

    /// As [`MissingRows::announced`]; whether the database lacks it, so that it has to be published again.
    pub(super) fn lacks_account(&mut self, file: FileId, revision: i64, rows_read: Row) -> bool {
        let lacks = self.entry(file).known.revision < Some(revision);
        if lacks {
            self.entry(file).account = true;
            self.announced(file, revision, rows_read);
        }
        lacks
    }

    /// Takes note of a row that comes by itself.
    pub(super) fn comes(&mut self, origin: Origin) {
        self.entry(origin.file).known.present.insert(origin.row);
    }

    /// Whether the row is missing, so that it is to be published again from the stream.
    pub(super) fn take_from_stream(&mut self, origin: Origin) -> bool {
        let entry = self.entry(origin.file);
        entry.known.present.insert(origin.row) && entry.from_stream.insert(origin.row)
    }

    /// The rows up to `last` that are missing.
    pub(super) fn missing(&mut self, file: FileId, last: Row) -> RowSet {
        self.entry(file).known.present.missing_up_to(last)
    }

    /// Takes note that a row was published again from its file.
    pub(super) fn take_from_file(&mut self, origin: Origin) {
        let entry = self.entry(origin.file);
        entry.known.present.insert(origin.row);
        entry.from_file.insert(origin.row);
    }

    /// Takes note of why the file's rows cannot be had.
    pub(super) fn cannot(&mut self, file: FileId, why: String) {
        self.entry(file).why = Some(why);
    }

    /// The files that lacked something, by path.
    pub(super) fn into_refilled(self) -> Vec<Refilled> {
        let mut files: Vec<Refilled> = self.0.into_values().filter_map(Entry::into_refilled).collect();
        files.sort_by(|a, b| (&a.file, a.file_id).cmp(&(&b.file, b.file_id)));
        files
    }

    fn entry(&mut self, file_id: FileId) -> &mut Entry {
        self.0.entry(file_id).or_insert_with(|| {
            Entry::new(Known {
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
    fn new(known: Known) -> Self {
        Self {
            rows: known.rows_read,
            known,
            from_stream: RowSet::EMPTY,
            from_file: RowSet::EMPTY,
            account: false,
            why: None,
        }
    }

    fn into_refilled(self) -> Option<Refilled> {
        let lost = self.known.present.missing_up_to(self.rows);
        let why = match self.why {
            _ if lost.is_empty() => String::new(),
            Some(why) => why,
            None => "neither the stream nor a checkpoint here knows them".to_owned(),
        };
        let refilled = Refilled {
            file_id: self.known.file_id,
            file: self.known.file,
            from_stream: self.from_stream,
            from_file: self.from_file,
            account: self.account,
            lost,
            why,
        };
        let is_whole = refilled.from_stream.is_empty()
            && refilled.from_file.is_empty()
            && refilled.lost.is_empty()
            && !refilled.account;
        (!is_whole).then_some(refilled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(row: Row) -> Origin {
        Origin { file: FileId::from(7), row }
    }

    fn known(rows_read: Row, present: &[(Row, Row)]) -> Known {
        Known {
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
        let mut missing_rows = MissingRows::new(vec![known(6, &[(1, 2)])]);
        missing_rows.comes(origin(6));
        let missing = [1, 3, 3, 6].map(|row| missing_rows.take_from_stream(origin(row)));
        assert_eq!(missing, [false, true, false, false]);
        assert_eq!(missing_rows.missing(FileId::from(7), 6).to_string(), "4-5");
        missing_rows.take_from_file(origin(4));
        let refilled = &missing_rows.into_refilled()[0];
        assert_eq!(
            (refilled.from_stream.to_string(), refilled.from_file.to_string()),
            ("3".into(), "4".into())
        );
        assert_eq!((refilled.lost.to_string(), refilled.why.is_empty()), ("5".into(), false));
    }

    #[test]
    fn totals_are_missing_where_the_database_has_older_ones() {
        let mut missing_rows = MissingRows::new(vec![known(2, &[(1, 2)])]);
        let file = FileId::from(7);
        assert!(!missing_rows.lacks_account(file, 3, 2) && missing_rows.lacks_account(file, 5, 4));
        assert!(!missing_rows.lacks_account(file, 4, 3), "a newer one is on its way");
        let refilled = missing_rows.into_refilled();
        assert_eq!((refilled[0].account, refilled[0].lost.to_string()), (true, "3-4".to_owned()));
    }

    #[test]
    fn a_file_that_lacks_nothing_is_not_listed() {
        assert!(MissingRows::new(vec![known(2, &[(1, 2)])]).into_refilled().is_empty());
    }
}
