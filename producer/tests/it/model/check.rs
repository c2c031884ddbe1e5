//! What must be true of the stream, whatever has happened.

use std::collections::{BTreeMap, BTreeSet};

use common::FileId;
use common::wire::{FileMessage, FileState};

use super::files::Files;
use crate::contents::{Contents, Sent};

/// The rows of one file.
pub(super) type Rows = BTreeMap<i64, String>;

/// Each file's rows, and what each is known by in the model.
pub(super) fn delivered(contents: &Contents) -> BTreeMap<FileId, Rows> {
    let mut files = BTreeMap::<FileId, Rows>::new();
    for message in &contents.0 {
        if let Some(origin) = message.origin() {
            files.entry(origin.file).or_default().insert(origin.row, known_by(message));
        }
    }
    files
}

fn known_by(message: &Sent) -> String {
    match (message.event(), message.reject()) {
        (Some(event), _) => event.customer_id.unwrap().to_string(),
        (_, Some(reject)) => String::from_utf8(reject.raw.0).unwrap(),
        _ => unreachable!("a row is an event or a reject"),
    }
}

/// Whether these are the first rows.
pub(super) fn hold(rows: &Rows, records: &[(String, usize)]) -> bool {
    (1..).zip(records).all(|(row, (content, _))| rows.get(&row) == Some(content))
}

pub(super) fn all(contents: &Contents, files: &Files) {
    contents.each_origin_has_one_content();
    rows_come_in_order(contents);
    let delivered = delivered(contents);
    for (file, rows) in &delivered {
        let is_one =
            |records: &[(String, usize)]| rows.len() <= records.len() && hold(rows, &records[..rows.len()]);
        assert!(
            files.versions.iter().any(|version| is_one(&version.records)),
            "{file} is a mixture: {rows:?}"
        );
    }
    for (number, version) in files.versions.iter().enumerate() {
        let records = &version.records[..version.proven];
        assert!(
            records.is_empty() || delivered.values().any(|rows| hold(rows, records)),
            "{} records of version {number} were there to be read: {delivered:?}",
            version.proven
        );
    }
    no_file_is_read_as_two(&delivered, files);
    totals_fit(&contents.totals(), &delivered, files);
}

/// At its first delivery each row follows the one before it.
fn rows_come_in_order(contents: &Contents) {
    let mut last = BTreeMap::<FileId, i64>::new();
    for origin in contents.rows() {
        let last = last.entry(origin.file).or_default();
        assert!(origin.row <= *last + 1, "row {} of {} comes behind row {last}", origin.row, origin.file);
        *last = (*last).max(origin.row);
    }
}

/// What stands in no more than one version comes from no more than one file.
fn no_file_is_read_as_two(delivered: &BTreeMap<FileId, Rows>, files: &Files) {
    for (number, version) in files.versions.iter().enumerate() {
        let of_no_other = version.records.iter().filter(|(content, _)| {
            let in_it = |records: &[(String, usize)]| records.iter().any(|(other, _)| other == content);
            files.versions.iter().filter(|version| in_it(&version.records)).count() == 1
        });
        for (content, _) in of_no_other {
            let ids: BTreeSet<_> =
                delivered.iter().filter(|(_, rows)| rows.values().any(|row| row == content)).collect();
            assert!(ids.len() <= 1, "version {number} was read as {} files", ids.len());
        }
    }
}

/// What is there is finished with all of its rows; what is gone is truncated, with no more than was delivered.
fn totals_fit(all_totals: &[FileMessage], delivered: &BTreeMap<FileId, Rows>, files: &Files) {
    let mut last = BTreeMap::<FileId, &FileMessage>::new();
    for totals in all_totals {
        // One that was sent again may come behind a later one.
        let known = last.entry(totals.file_id).or_insert(totals);
        *known = if totals.revision > known.revision { totals } else { known };
    }
    for (name, version) in &files.live {
        let path = files.path(name);
        let of_path = last.values().filter(|totals| path.to_str() == Some(&totals.path));
        let finished: Vec<_> = of_path.filter(|totals| totals.state == FileState::Finished).collect();
        let [totals] = finished[..] else { panic!("{name} has final totals once: {finished:?}") };
        let records = &files.versions[*version].records;
        assert_eq!(usize::try_from(totals.rows_read).unwrap(), records.len(), "{name}");
        assert!(records.is_empty() || hold(&delivered[&totals.file_id], records), "{name}");
    }
    let finished = last.values().filter(|totals| totals.state == FileState::Finished).count();
    assert_eq!(finished, files.live.len(), "nothing else is finished");
    for totals in last.values().filter(|totals| totals.state != FileState::Finished) {
        assert_eq!(totals.state, FileState::Truncated, "{totals:?} are not final");
        let rows = delivered.get(&totals.file_id).map_or(0, BTreeMap::len);
        assert!(usize::try_from(totals.rows_read).unwrap() <= rows, "{totals:?} count more than {rows} rows");
    }
}
