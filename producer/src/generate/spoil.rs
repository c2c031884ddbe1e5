//! Makes a good row bad, in the ways in which real files are bad.

use csv::ByteRecord;
use rand::RngExt as _;

use super::dice::Dice;
use super::row::COLUMNS;

/// What is wrong with a row. Each makes it unfit for the table.
enum Flaw {
    /// Its last field is missing.
    Short,
    /// It has a field too many, as after a comma that was not quoted.
    Long,
    /// A column holds this instead.
    Holds(&'static str, &'static [u8]),
}

const FLAWS: [Flaw; 11] = [
    Flaw::Short,
    Flaw::Long,
    Flaw::Holds("price", b"abc"),
    Flaw::Holds("price", b"-5.00"),
    Flaw::Holds("price", b"19.99999"),
    Flaw::Holds("event_timestamp", b""),
    Flaw::Holds("event_timestamp", b"yesterday"),
    Flaw::Holds("event_timestamp", b"2024-02-30T25:61:00Z"),
    Flaw::Holds("event_type", b"teleport"),
    Flaw::Holds("customer_name", b"Nul\0Byte"),
    // A name in Latin-1.
    Flaw::Holds("customer_name", b"Andr\xe9 Dupr\xe9"),
];

/// Spoils a row in one way.
pub(super) fn spoil(record: &mut ByteRecord, dice: &mut Dice) {
    match &FLAWS[dice.random_range(0..FLAWS.len())] {
        Flaw::Short => record.truncate(COLUMNS.len() - 1),
        Flaw::Long => record.push_field(b"surplus"),
        Flaw::Holds(spoilt, value) => {
            *record = COLUMNS
                .iter()
                .zip(record.iter())
                .map(|(column, field)| if column == spoilt { value } else { field })
                .collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dice::{Of, dice};
    use super::*;

    #[test]
    fn no_row_survives() {
        let good = ByteRecord::from(COLUMNS.to_vec());
        let dice = &mut dice(Of::Rows, 1);
        for _ in 0..200 {
            let mut record = good.clone();
            spoil(&mut record, dice);
            let changed = record.iter().zip(&good).filter(|(field, was)| field != was).count();
            assert_eq!(
                changed + record.len().abs_diff(good.len()),
                1,
                "exactly one thing is wrong: {record:?}"
            );
        }
    }
}
