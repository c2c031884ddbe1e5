//! Rows of the files: a seed, a file and a serial number enter, the row leaves. Nothing is stored of a row, because it
//! can be made again.

use uuid::{Builder, Uuid};

/// The header of every file. `customer_id` names the file, `session_id` the row; a line that was cut off misses
/// columns, or ends with a part of an event type, which is none.
pub(in crate::chaos) const HEADER: &[u8] =
    b"customer_id,product_id,price,event_timestamp,session_id,event_id,customer_address,event_type\n";

/// Where `session_id` is in a row.
const SESSION_ID: usize = 4;
const EVENT_TYPES: [&str; 3] = ["view", "click", "purchase"];
/// One row of so many cannot become an event.
const DIRTY: u64 = 60;
/// One row of so many repeats the row before it: all of it where that is in the same file.
const REPEATED: u64 = 60;
/// One row of so many has the `event_id` of an earlier row and other content.
const TAKEN: u64 = 40;
/// How far back that row may be.
const TAKEN_BEHIND: u64 = 3_000;

/// Makes rows.
#[derive(Clone, Copy, Debug)]
pub(in crate::chaos) struct Rows {
    seed: u64,
}

/// The file whose rows are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::chaos) struct RowsOf {
    /// Its number.
    pub(in crate::chaos) file: u32,
    /// Whether a field has a comma and stands in quotes. A file that may be cut anywhere has none: what a quote does
    /// that is never closed is no question of delivery.
    pub(in crate::chaos) is_quoted: bool,
}

/// A row that has to become an event.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::chaos) struct GoodRow {
    pub(in crate::chaos) event_id: Uuid,
    /// Its columns as `sql/row_outcomes.sql` gives them.
    pub(in crate::chaos) content: String,
}

impl Rows {
    pub(in crate::chaos) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Whether this can be a file's first row: it becomes an event, and repeats nothing.
    pub(in crate::chaos) fn is_first(self, serial: u64) -> bool {
        !self.one_in(serial, Salt::Dirty, DIRTY) && !self.one_in(serial, Salt::Repeated, REPEATED)
    }

    /// The line of this serial number, with its line end.
    pub(in crate::chaos) fn line(self, of: RowsOf, serial: u64) -> Vec<u8> {
        let is_repeated = self.one_in(serial, Salt::Repeated, REPEATED);
        let shown = if is_repeated { serial.saturating_sub(1) } else { serial };
        let mut line = self.fields(of, shown).join(",").into_bytes();
        if !is_repeated && self.one_in(serial, Salt::Dirty, DIRTY) {
            line = self.spoil(of, serial);
        }
        line.push(b'\n');
        line
    }

    /// The row that a line without its end is, if it is a whole one that can become an event.
    pub(in crate::chaos) fn parse(self, of: RowsOf, line: &[u8]) -> Option<GoodRow> {
        let text = std::str::from_utf8(line).ok()?;
        let serial = text.split(',').nth(SESSION_ID)?.strip_prefix('s')?.parse().ok()?;
        let fields = self.fields(of, serial);
        (fields.join(",") == text).then(|| {
            let [customer, product, price, time, session, _, address, event_type] = fields;
            let address = address.trim_matches('"');
            GoodRow {
                event_id: self.event_id(serial),
                content: [&event_type, &time, &customer, &product, &price, &session, address].join("|"),
            }
        })
    }

    /// The fields of a good row.
    fn fields(self, of: RowsOf, serial: u64) -> [String; 8] {
        let hash = self.hash(serial, Salt::Fields);
        let seconds = hash % 86_400;
        let (hours, minutes, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        // Some rows are longer, so that fewer of them fill the stream.
        let long = if hash.is_multiple_of(3) { 200 } else { 0 };
        let quote = if of.is_quoted { "\"" } else { "" };
        let comma = if of.is_quoted { "," } else { "" };
        [
            format!("f{}", of.file),
            format!("p{}", hash % 500),
            format!("{}.{:02}", hash / 7 % 900, hash / 11 % 100),
            format!("2026-01-31T{hours:02}:{minutes:02}:{second:02}.{:03}Z", hash / 13 % 1_000),
            format!("s{serial}"),
            self.event_id(serial).to_string(),
            format!("{quote}{} {}Street{comma} Newtown{quote}", hash / 17 % 300, "Long ".repeat(long)),
            EVENT_TYPES[usize::try_from(hash / 19 % 3).unwrap_or(0)].to_owned(),
        ]
    }

    /// A line that no event can be made of.
    fn spoil(self, of: RowsOf, serial: u64) -> Vec<u8> {
        let mut fields = self.fields(of, serial);
        let set =
            |fields: &mut [String; 8], number: usize, value: &str| value.clone_into(&mut fields[number]);
        match self.hash(serial, Salt::Spoilt) % 8 {
            0 => set(&mut fields, 7, "teleport"),
            1 => set(&mut fields, 2, "-5.00"),
            2 => set(&mut fields, 2, "abc"),
            3 => set(&mut fields, 2, "1.99999"),
            4 => set(&mut fields, 3, "yesterday"),
            5 => fields[7].push_str(",surplus"),
            6 => fields[6].push('\0'),
            _ => {
                let mut line = fields.join(",").into_bytes();
                // Latin-1, which is not UTF-8.
                line[1] = 0xe9;
                return line;
            }
        }
        fields.join(",").into_bytes()
    }

    fn event_id(self, serial: u64) -> Uuid {
        let behind = 1 + self.hash(serial, Salt::Behind) % TAKEN_BEHIND;
        let of = if self.one_in(serial, Salt::Taken, TAKEN) { serial.saturating_sub(behind) } else { serial };
        let halves = [self.hash(of, Salt::HighId).to_be_bytes(), self.hash(of, Salt::LowId).to_be_bytes()];
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&halves.concat());
        Builder::from_random_bytes(bytes).into_uuid()
    }

    fn one_in(self, serial: u64, salt: Salt, many: u64) -> bool {
        self.hash(serial, salt).is_multiple_of(many)
    }

    /// `SplitMix64`, as in Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    fn hash(self, serial: u64, salt: Salt) -> u64 {
        let mut mixed = self.seed ^ (serial << 4 | salt as u64);
        for _ in 0..2 {
            mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
        }
        mixed
    }
}

/// What a random number is for.
#[derive(Clone, Copy, Debug)]
enum Salt {
    Fields,
    HighId,
    LowId,
    Dirty,
    Spoilt,
    Repeated,
    Taken,
    Behind,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const OF: RowsOf = RowsOf { file: 3, is_quoted: false };

    #[test]
    fn a_row_is_good_or_bad_as_a_whole() {
        let rows = Rows::new(1);
        let (mut good, mut bad) = (0, 0);
        for serial in 0..2_000 {
            let line = rows.line(OF, serial);
            let text = line.strip_suffix(b"\n").unwrap();
            match rows.parse(OF, text) {
                Some(_) => good += 1,
                None => bad += 1,
            }
            assert!(
                (0..text.len())
                    .all(|cut| rows.parse(OF, &text[..cut]).is_none_or(|_| { text[cut..] == *b",surplus" }))
            );
        }
        assert!(good > 1_900 && bad > 10, "{good} {bad}");
    }

    #[test]
    fn some_rows_repeat_others_with_the_same_or_other_content() {
        let rows = Rows::new(2);
        let (mut ids, mut contents) = (HashSet::new(), HashSet::new());
        let (mut same, mut differ) = (0, 0);
        for serial in 0..2_000 {
            let line = rows.line(OF, serial);
            let Some(row) = rows.parse(OF, &line[..line.len() - 1]) else { continue };
            match (ids.insert(row.event_id), contents.insert(row.content)) {
                (false, false) => same += 1,
                (false, true) => differ += 1,
                (true, is_new) => assert!(is_new),
            }
        }
        assert!(same > 10 && differ > 10, "{same} {differ}");
    }
}
