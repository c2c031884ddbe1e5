use std::collections::BTreeMap;

use super::*;
use crate::chaos::file_writer::content::Content;
use crate::chaos::file_writer::rows::{Rows, RowsOf};

const ROWS: u64 = 200;

/// A file of some good and bad rows.
fn expected() -> Expected {
    let rows = Rows::new(1);
    let mut last = Content::new(RowsOf { file: 0, is_quoted: false });
    last.add_lines(rows, 2, ROWS);
    last.landed = last.length();
    let file = WrittenFile { name: "a.csv".to_owned(), earlier: Vec::new(), last, is_removed: false };
    Expected { rows, files: vec![file], strikes: BTreeMap::new(), written: ROWS }
}

/// Every row of a content in the table in which it belongs. `pieces` are the lines of it that were taken.
fn tables(rows: Rows, content: &Content, pieces: &[&[u8]]) -> Vec<RowOutcome> {
    let row = |(number, line): (i64, &&[u8])| {
        let table = match rows.parse(content.of(), line) {
            Some(good) => Table::Events { event_id: good.event_id, content: good.content },
            None => Table::Corrupt(line.to_vec()),
        };
        RowOutcome { file_id: Some(42), row: Some(number), table }
    };
    (1..).zip(pieces).map(row).collect()
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
    lines.skip(1).collect()
}

/// All rows of the file.
fn all(expected: &Expected) -> Vec<RowOutcome> {
    let bytes = expected.files[0].last.bytes(expected.rows);
    tables(expected.rows, &expected.files[0].last, &lines(&bytes))
}

fn again(rows: &[RowOutcome]) -> Vec<RowOutcome> {
    rows.iter().cloned().map(|row| RowOutcome { file_id: Some(43), ..row }).collect()
}

/// How many are lost, twice, wrong.
fn compare(expected: &Expected, of_files: &[&[RowOutcome]]) -> (u64, u64, u64) {
    let mut comparison = Comparison::new(expected);
    for rows in of_files {
        comparison.add(rows);
    }
    let Findings { lost, twice, wrong, named } = comparison.end();
    assert_eq!(named.is_empty(), lost + twice + wrong == 0, "{named:?}");
    (lost, twice, wrong)
}

#[test]
fn what_is_right_is_found_right() {
    let expected = expected();
    let rows = all(&expected);
    assert!(rows.iter().any(|row| matches!(row.table, Table::Corrupt(_))));
    assert_eq!(compare(&expected, &[&rows]), (0, 0, 0));
}

#[test]
fn each_row_that_is_missing_is_lost() {
    let expected = expected();
    for row in [0, 7, 199] {
        let mut rows = all(&expected);
        rows.remove(row);
        assert_eq!(compare(&expected, &[&rows]).0, 1, "{row}");
    }
    assert_eq!(compare(&expected, &[&all(&expected)[..190]]), (10, 0, 0));
    assert_eq!(compare(&expected, &[]), (ROWS, 0, 0));
}

#[test]
fn a_row_in_two_tables_or_under_two_files_is_there_twice() {
    let expected = expected();
    let mut rows = all(&expected);
    rows.insert(5, rows[5].clone());
    assert_eq!(compare(&expected, &[&rows]), (0, 1, 0));
    let rows = all(&expected);
    assert_eq!(compare(&expected, &[&rows, &again(&rows[..30])]), (0, 30, 0));
}

#[test]
fn rows_that_no_file_has_and_rows_that_changed_are_wrong() {
    let expected = expected();
    let mut rows = all(&expected);
    rows.push(RowOutcome { file_id: Some(42), row: Some(201), table: rows[3].table.clone() });
    assert!(compare(&expected, &[&rows]).2 > 0);
    let mut rows = all(&expected);
    rows[9].table = rows[10].table.clone();
    assert!(compare(&expected, &[&rows]).2 > 0);
    let stranger = [RowOutcome { file_id: None, row: None, table: Table::Corrupt(b"x".to_vec()) }];
    assert_eq!(compare(&expected, &[&stranger, &all(&expected)]).2, 1);
}

#[test]
fn a_line_may_be_cut_where_a_write_has_ended() {
    let mut expected = expected();
    let rows = expected.rows;
    let content = &mut expected.files[0].last;
    content.add_bytes(b"f0,p1,1");
    content.note_end();
    content.add_bytes(b".50,20");
    content.note_end();
    content.add_bytes(b"26\n");
    content.landed = content.length();
    let bytes = content.bytes(rows);
    let whole = lines(&bytes);
    let (before, line) = (&whole[..whole.len() - 1], whole[whole.len() - 1]);
    let content = &expected.files[0].last;
    let cut = |at: &[usize]| {
        let mut pieces = before.to_vec();
        let ends = at.iter().copied().chain([line.len()]);
        pieces.extend(ends.scan(0, |start, end| Some(&line[std::mem::replace(start, end)..end])));
        compare(&expected, &[&tables(rows, content, &pieces)])
    };
    for right in [&[][..], &[7], &[13], &[7, 13]] {
        assert_eq!(cut(right), (0, 0, 0), "{right:?}");
    }
    assert!(cut(&[6]).2 > 0, "no write has ended there");
}

#[test]
fn of_earlier_contents_rows_may_be_missing_and_of_the_last_one_none() {
    let mut expected = expected();
    let rows = expected.rows;
    let before = all(&expected);
    let file = &mut expected.files[0];
    let mut content = file.last.truncated(rows, 5_000);
    content.add_bytes(b"\n");
    content.add_lines(rows, 900, 10);
    content.landed = content.length();
    file.replace(content);
    let after = again(&all(&expected));
    for right in [&before[..], &before[..3], &[]] {
        assert_eq!(compare(&expected, &[right, &after]), (0, 0, 0));
    }
    assert!(compare(&expected, &[&before]).0 > 0);
    assert!(compare(&expected, &[&before, &after[..after.len() - 1]]).0 > 0);
    assert!(compare(&expected, &[&after, &after]).1 > 0);
    expected.files[0].is_removed = true;
    assert_eq!(compare(&expected, &[&before[..9]]), (0, 0, 0));
}

#[test]
fn a_duplicate_says_whether_it_differs_from_its_event() {
    let expected = expected();
    // Every row whose event_id an earlier one has is its duplicate.
    let rows = |is_right: bool| -> Vec<RowOutcome> {
        let mut events = BTreeMap::new();
        let mut mark = |mut row: RowOutcome| {
            if let Table::Events { event_id, content } = &row.table {
                let event = events.entry(*event_id).or_insert_with(|| (content.clone(), row.row));
                if event.1 != row.row {
                    let (event_id, content) = (*event_id, content.clone());
                    let differs = (event.0 != content) == is_right;
                    row.table = Table::Duplicates { event_id, content, differs };
                }
            }
            row
        };
        all(&expected).into_iter().map(&mut mark).collect()
    };
    let right = rows(true);
    let differing = |expected: bool| {
        let is_one =
            |row: &&RowOutcome| matches!(row.table, Table::Duplicates { differs, .. } if differs == expected);
        right.iter().filter(is_one).count() as u64
    };
    assert!(differing(true) > 0 && differing(false) > 0);
    assert_eq!(compare(&expected, &[&right]), (0, 0, 0));
    assert_eq!(compare(&expected, &[&rows(false)]), (0, 0, differing(true) + differing(false)));
}
