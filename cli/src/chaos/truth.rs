//! What the generated files say, read without anything of the tailer: one physical line a row, for the
//! generator writes no line ends into fields.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use chrono::DateTime;
use csv::{ByteRecord, ReaderBuilder};
use uuid::Uuid;

/// How many columns a row has, and where those stand that the generator may spoil.
const COLUMNS: usize = 16;
const EVENT_ID: usize = 0;
const EVENT_TYPE: usize = 1;
const EVENT_TIMESTAMP: usize = 2;
const PRICE: usize = 15;
/// What visitors of the generated shop do.
const EVENT_TYPES: [&str; 6] =
    ["view", "click", "add_to_cart", "add_to_wishlist", "remove_from_cart", "purchase"];

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It has to be in `events`, or in `duplicates` where an equal one is in `events`.
    Good(Uuid),
    /// It has to be in `corrupt_records`, with these bytes.
    Spoilt(Vec<u8>),
}

/// The rows of each file, by the name under which it landed.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) files: BTreeMap<String, Vec<Line>>,
}

impl Truth {
    /// Reads every generated file of these directories; one that does not exist has none.
    pub(super) fn read(dirs: &[&Path]) -> anyhow::Result<Self> {
        let mut truth = Self::default();
        for dir in dirs {
            let entries = match fs::read_dir(dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.with_context(|| format!("failed to list {}", dir.display()))?,
            };
            for entry in entries {
                let path = entry.with_context(|| format!("failed to list {}", dir.display()))?.path();
                if path.extension().is_some_and(|extension| extension == "csv") {
                    let bytes =
                        fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
                    let lines =
                        lines(&bytes).with_context(|| format!("failed to read {}", path.display()))?;
                    let before = truth.files.insert(landed_as(&path), lines);
                    anyhow::ensure!(before.is_none(), "{} is there twice", path.display());
                }
            }
        }
        Ok(truth)
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }
}

/// `archive/events_20260131_120000_001.42.csv` landed as `events_20260131_120000_001`.
pub(super) fn landed_as(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The rows of a file. A record that does not end with its line is not the generator's.
fn lines(file: &[u8]) -> anyhow::Result<Vec<Line>> {
    let rows = file.split_inclusive(|byte| *byte == b'\n').skip(1);
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
    let mut record = ByteRecord::new();
    let mut lines = Vec::new();
    for row in rows {
        anyhow::ensure!(reader.read_byte_record(&mut record)?, "line {} is no record", lines.len() + 2);
        let spoilt = || Line::Spoilt(row.strip_suffix(b"\n").unwrap_or(row).to_vec());
        lines.push(good(&record).map_or_else(spoilt, Line::Good));
    }
    anyhow::ensure!(!reader.read_byte_record(&mut record)?, "it has more records than lines");
    Ok(lines)
}

/// The id of a row that looks as the generator's good rows do.
fn good(record: &ByteRecord) -> Option<Uuid> {
    let fields: Vec<&str> =
        record.iter().map(|field| std::str::from_utf8(field).ok()).collect::<Option<_>>()?;
    let is_good = fields.len() == COLUMNS
        && !fields.iter().any(|field| field.contains('\0'))
        && EVENT_TYPES.contains(&fields[EVENT_TYPE])
        && DateTime::parse_from_rfc3339(fields[EVENT_TIMESTAMP]).is_ok()
        && is_price(fields[PRICE]);
    if is_good { fields[EVENT_ID].parse().ok() } else { None }
}

/// Digits and two decimals.
fn is_price(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(whole, cents)| is_number(whole) && is_number(cents) && cents.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn row(event_type: &str, time: &str, name: &str, price: &str) -> Vec<u8> {
        format!("{ID},{event_type},{time},1,{name},,\"A street, a town\",,,,,,,,,{price}").into_bytes()
    }

    #[test]
    fn good_and_spoilt_rows_are_told_apart() {
        let good = row("view", "2024-03-13T10:21:14.000Z", "Ann", "1.50");
        let mut latin = good.clone();
        latin[70] = 0xe9;
        let spoilt = [
            row("teleport", "2024-03-13T10:21:14.000Z", "Ann", "1.50"),
            row("view", "yesterday", "Ann", "1.50"),
            row("view", "2024-02-30T25:61:00Z", "Ann", "1.50"),
            row("view", "", "Ann", "1.50"),
            row("view", "2024-03-13T10:21:14.000Z", "A\0nn", "1.50"),
            row("view", "2024-03-13T10:21:14.000Z", "Ann", "19.99999"),
            row("view", "2024-03-13T10:21:14.000Z", "Ann", "-5.00"),
            row("view", "2024-03-13T10:21:14.000Z", "Ann", "abc"),
            [&good[..], b",surplus"].concat(),
            good[..good.len() - 5].to_vec(),
            latin,
        ];
        let file = [&[b"header".to_vec(), good], &spoilt[..]].concat().join(&b'\n');
        let found = lines(&file).unwrap();
        assert_eq!(found[0], Line::Good(ID));
        for (found, spoilt) in found[1..].iter().zip(&spoilt) {
            assert_eq!(*found, Line::Spoilt(spoilt.clone()), "{}", String::from_utf8_lossy(spoilt));
        }
        assert_eq!(found.len(), spoilt.len() + 1);
    }

    #[test]
    fn files_are_found_under_the_name_with_which_they_landed() {
        let dir = tempfile::tempdir().unwrap();
        let (landing, archive) = (dir.path().join("landing"), dir.path().join("archive"));
        fs::create_dir(&archive).unwrap();
        let rows =
            [&b"header\n"[..], &row("view", "2024-03-13T10:21:14Z", "Ann", "1.50"), b"\nbad\n"].concat();
        fs::write(archive.join("events_1_001.42.csv"), &rows).unwrap();
        fs::write(archive.join("events_1_002.csv.part"), &rows).unwrap();
        let truth = Truth::read(&[&landing, &archive]).unwrap();
        assert_eq!(truth.files["events_1_001"], [Line::Good(ID), Line::Spoilt(b"bad".to_vec())]);
        assert_eq!((truth.files.len(), truth.rows()), (1, 2));
    }
}
