//! The files and the tables enter; what is lost, there twice, or in the wrong place leaves.

use std::collections::{BTreeMap, HashMap, HashSet};

use consumer::fates::{Fate, Table};
use serde::Serialize;
use uuid::Uuid;

use super::truth::{Line, Truth};

/// How many rows are named.
const NAMED: usize = 10;

/// What is wrong with the tables; all zero is good.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Findings {
    /// Rows of the files that are in no table, and good rows whose event is not in `events`.
    pub(super) lost: u64,
    /// Rows of the files that are in tables more than once.
    pub(super) twice: u64,
    /// Rows in tables that no file has, or that are not in the table in which they belong, or not as they
    /// were.
    pub(super) wrong: u64,
    /// Some of them.
    pub(super) named: Vec<String>,
}

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn name(&mut self, what: &str, file: &str, row: usize) {
        if self.named.len() < NAMED {
            self.named.push(format!("{what}: {file} row {row}"));
        }
    }
}

/// Holds the tables against the files. `names` tells under which name a file of the tables landed.
pub(super) fn compare(truth: &Truth, names: &HashMap<i64, String>, fates: &[Fate]) -> Findings {
    let mut findings = Findings::default();
    let mut met: BTreeMap<&str, Vec<u32>> =
        truth.files.iter().map(|(file, lines)| (file.as_str(), vec![0; lines.len()])).collect();
    let mut events: HashSet<Uuid> = HashSet::new();
    for fate in fates {
        if let Table::Events(id) = fate.table {
            events.insert(id);
        }
        let file = fate.file_id.and_then(|file| names.get(&file)).map_or("an unknown file", String::as_str);
        let row = fate.row.and_then(|row| usize::try_from(row).ok()).unwrap_or(0);
        let line = row.checked_sub(1).and_then(|index| truth.files.get(file)?.get(index));
        if !line.is_some_and(|line| belongs(line, &fate.table)) {
            findings.wrong += 1;
            findings.name("wrong", file, row);
        }
        if let Some(times) = met.get_mut(file).and_then(|met| met.get_mut(row.wrapping_sub(1))) {
            *times += 1;
        }
    }
    for ((file, lines), met) in truth.files.iter().zip(met.values()) {
        for (index, (line, times)) in lines.iter().zip(met).enumerate() {
            let is_missing = matches!(line, Line::Good(id) if !events.contains(id));
            if *times == 0 || is_missing {
                findings.lost += 1;
                findings.name("lost", file, index + 1);
            } else if *times > 1 {
                findings.twice += 1;
                findings.name("twice", file, index + 1);
            }
        }
    }
    findings
}

/// Whether this is what has to become of a row.
fn belongs(line: &Line, table: &Table) -> bool {
    match (line, table) {
        (Line::Good(id), Table::Events(found) | Table::Duplicates(found)) => id == found,
        (Line::Spoilt(bytes), Table::Corrupt(found)) => bytes == found,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with two equal good rows, another good one and a spoilt one.
    fn truth() -> Truth {
        let lines = vec![good(1), good(1), good(2), Line::Spoilt(b"bad".to_vec())];
        Truth { files: BTreeMap::from([("a".to_owned(), lines)]) }
    }

    fn good(id: u128) -> Line {
        Line::Good(Uuid::from_u128(id))
    }

    fn in_tables(rows: Vec<(i64, Table)>) -> (u64, u64, u64) {
        let names = HashMap::from([(42, "a".to_owned()), (43, "a".to_owned())]);
        let fates: Vec<_> = rows
            .into_iter()
            .map(|(row, table)| Fate { file_id: Some(42 + row / 100), row: Some(row % 100), table })
            .collect();
        let Findings { lost, twice, wrong, named } = compare(&truth(), &names, &fates);
        assert_eq!(named.len() as u64, lost + twice + wrong);
        (lost, twice, wrong)
    }

    fn events(id: u128) -> Table {
        Table::Events(Uuid::from_u128(id))
    }

    fn all() -> Vec<(i64, Table)> {
        let corrupt = Table::Corrupt(b"bad".to_vec());
        vec![(1, events(1)), (2, Table::Duplicates(Uuid::from_u128(1))), (3, events(2)), (4, corrupt)]
    }

    #[test]
    fn what_is_right_is_found_right() {
        assert_eq!(in_tables(all()), (0, 0, 0));
    }

    #[test]
    fn each_row_that_is_missing_is_lost() {
        for row in 0..4 {
            let mut rows = all();
            rows.remove(row);
            // The duplicate of an event that is not there is lost as well.
            assert_eq!(in_tables(rows), (if row == 0 { 2 } else { 1 }, 0, 0), "{row}");
        }
    }

    #[test]
    fn a_row_in_two_tables_or_under_two_files_is_there_twice() {
        let twice = [all(), vec![(3, Table::Duplicates(Uuid::from_u128(2)))]].concat();
        assert_eq!(in_tables(twice), (0, 1, 0));
        let of_another_id = [all(), vec![(103, Table::Duplicates(Uuid::from_u128(2)))]].concat();
        assert_eq!(in_tables(of_another_id), (0, 1, 0));
    }

    #[test]
    fn rows_that_no_file_has_and_rows_that_changed_are_wrong() {
        assert_eq!(in_tables([all(), vec![(5, events(3))]].concat()), (0, 0, 1));
        assert_eq!(in_tables([all(), vec![(900, events(3))]].concat()), (0, 0, 1));
        let mut rows = all();
        rows[3].1 = Table::Corrupt(b"bed".to_vec());
        assert_eq!(in_tables(rows), (0, 0, 1));
        let mut rows = all();
        rows[2].1 = Table::Corrupt(b"good".to_vec());
        assert_eq!(in_tables(rows), (1, 0, 1), "a good row that was refused is lost");
    }
}
