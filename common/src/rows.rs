//! A set of a file's rows, kept as ranges: a file that is complete is one range, however long it is.

use std::fmt;

use serde::Serialize;

use crate::origin::Row;

/// Rows of one file. As JSON they are `[[first, last], …]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RowSet {
    /// First and last row of each range: in rising order, with a gap between each two.
    ranges: Vec<(Row, Row)>,
}

impl RowSet {
    /// No row.
    pub const EMPTY: Self = Self { ranges: Vec::new() };

    /// The ranges, in rising order: the first and the last row of each.
    pub fn ranges(&self) -> &[(Row, Row)] {
        &self.ranges
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many rows there are.
    pub fn len(&self) -> i64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The largest row; 0 where there is none.
    pub fn last(&self) -> Row {
        self.ranges.last().map_or(0, |&(_, last)| last)
    }

    /// Whether `row` is one of them.
    pub fn contains(&self, row: Row) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= row);
        after.checked_sub(1).is_some_and(|before| row <= self.ranges[before].1)
    }

    /// Adds `row`; whether it is new.
    pub fn insert(&mut self, row: Row) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= row);
        let touches_next = self.ranges.get(after).is_some_and(|&(first, _)| first == row + 1);
        let before = after.checked_sub(1).and_then(|before| self.ranges.get_mut(before));
        match before {
            Some(&mut (_, last)) if row <= last => return false,
            Some((_, last)) if *last + 1 == row => {
                *last = row;
                if touches_next {
                    self.ranges[after - 1].1 = self.ranges.remove(after).1;
                }
            }
            _ if touches_next => self.ranges[after].0 = row,
            _ => self.ranges.insert(after, (row, row)),
        }
        true
    }

    /// The rows from 1 to `last` that are not in it.
    #[must_use]
    pub fn missing_up_to(&self, last: Row) -> Self {
        let mut next = 1;
        let mut gaps = Vec::new();
        for &(first, end) in self.ranges.iter().chain([&(last + 1, last + 1)]) {
            let gap = (next, (first - 1).min(last));
            if gap.0 <= gap.1 {
                gaps.push(gap);
            }
            next = end + 1;
        }
        Self { ranges: gaps }
    }
}

/// From ranges in any order, which may touch and overlap.
impl FromIterator<(Row, Row)> for RowSet {
    fn from_iter<I: IntoIterator<Item = (Row, Row)>>(ranges: I) -> Self {
        let mut all: Vec<(Row, Row)> = ranges.into_iter().collect();
        all.sort_unstable();
        let mut ranges: Vec<(Row, Row)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match ranges.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => ranges.push((first, last)),
            }
        }
        Self { ranges }
    }
}

/// For people: `3, 7-9`.
impl fmt::Display for RowSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.ranges.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(Row, Row)]) -> RowSet {
        ranges.iter().copied().collect()
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_one() {
        let rows = set(&[(7, 9), (1, 2), (3, 3), (8, 12)]);
        assert_eq!((rows.to_string().as_str(), rows.len(), rows.last()), ("1-3, 7-12", 9, 12));
        assert!(rows.contains(1) && rows.contains(12) && !rows.contains(4) && !rows.contains(0));
    }

    #[test]
    fn rows_are_added_in_any_order() {
        let mut rows = RowSet::EMPTY;
        let added: Vec<bool> = [5, 3, 9, 4, 4, 8, 1, 10, 5].map(|row| rows.insert(row)).to_vec();
        assert_eq!(added, [true, true, true, true, false, true, true, true, false]);
        assert_eq!(rows, set(&[(1, 1), (3, 5), (8, 10)]));
    }

    #[test]
    fn gaps_are_what_is_missing() {
        assert_eq!(set(&[(2, 3), (6, 7)]).missing_up_to(9), set(&[(1, 1), (4, 5), (8, 9)]));
        assert_eq!(set(&[(1, 9)]).missing_up_to(9), RowSet::EMPTY);
        assert_eq!(set(&[(1, 20)]).missing_up_to(9), RowSet::EMPTY);
        assert_eq!(set(&[(12, 20)]).missing_up_to(9), set(&[(1, 9)]));
        assert_eq!(RowSet::EMPTY.missing_up_to(0), RowSet::EMPTY);
    }
}
