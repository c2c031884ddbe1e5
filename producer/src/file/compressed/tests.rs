use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A frame that holds no text, as pzstd writes one before each of its frames.
fn skippable(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&0x184D_2A50_u32.to_le_bytes()[..], &length, content].concat()
}

fn compressed(format: Format, text: &[u8]) -> Vec<u8> {
    match format {
        Format::Gzip => gzip(text),
        Format::Zstd => [skippable(b"\x07\0\0\0"), zstd(text)].concat(),
    }
}

fn read(format: Format, bytes: &[u8]) -> (Vec<u8>, io::Result<usize>) {
    let mut text = Vec::new();
    let mut reader = reader(format, io::Cursor::new(bytes.to_vec())).unwrap();
    let ended = reader.read_to_end(&mut text);
    (text, ended)
}

fn whole(format: Format, bytes: &[u8]) -> String {
    let (text, ended) = read(format, bytes);
    ended.unwrap();
    String::from_utf8(text).unwrap()
}

fn damage(format: Format, bytes: &[u8]) -> String {
    let error = read(format, bytes).1.unwrap_err();
    assert!(is_damaged(&error), "{error}");
    error.to_string()
}

#[test]
fn the_format_is_that_of_the_ending() {
    for (name, format) in [
        ("a.csv.gz", Some(Format::Gzip)),
        ("A.CSV.GZ", Some(Format::Gzip)),
        ("a.tsv.Zst", Some(Format::Zstd)),
        ("a.gz.csv", None),
    ] {
        assert_eq!(format_of(Path::new(name)), format, "{name}");
    }
}

#[test]
fn rule_every_frame_of_zstd() {
    let pzstd = [compressed(Format::Zstd, b"one "), compressed(Format::Zstd, b"two ")].concat();
    let bytes = [pzstd, zstd(b""), zstd(b"three"), skippable(&vec![9; 300_000]), skippable(b"")].concat();
    assert_eq!(whole(Format::Zstd, &bytes), "one two three");
}

#[test]
fn rule_every_frame_of_gzip() {
    let bytes = [gzip(b"one "), gzip(b""), gzip(b"two "), gzip(b"three")].concat();
    assert_eq!(whole(Format::Gzip, &bytes), "one two three");
    // Blocks of a fixed length end in zeros.
    let padded = [bytes, vec![0; 300_000]].concat();
    assert_eq!(whole(Format::Gzip, &padded), "one two three");
}

#[test]
fn rule_every_frame_has_the_checksum_that_it_names() {
    let mut bytes = [zstd(b"one"), zstd(b"two")].concat();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(damage(Format::Zstd, &bytes).contains("checksum"));
    // The last four bytes are the length, those before are the checksum.
    for from_end in [1, 5] {
        let mut bytes = [gzip(b"one"), gzip(b"two")].concat();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        assert!(damage(Format::Gzip, &bytes).contains("checksum"));
    }
}

#[test]
fn rule_every_frame_counts_and_nothing_else_may_follow() {
    assert!(damage(Format::Gzip, &[gzip(b"one"), b"garbage".to_vec()].concat()).contains("last gzip member"));
    // Not even another member: gzip would ignore it.
    assert!(
        damage(Format::Gzip, &[gzip(b"one"), vec![0], gzip(b"two")].concat()).contains("last gzip member")
    );
    damage(Format::Gzip, &[gzip(b"one"), b"\x1fgarbage that is long".to_vec()].concat());
    damage(Format::Zstd, &[zstd(b"one"), b"garbage".to_vec()].concat());
    damage(Format::Zstd, &[zstd(b"one"), vec![0; 8]].concat());
    damage(Format::Zstd, b"event_type,event_timestamp\n");
    damage(Format::Gzip, b"event_type,event_timestamp\n");
}

proptest! {
    /// Wherever it stops, the text before is there, and the end is one only between members and frames.
    #[test]
    fn rule_unfinished_gzip_waits_wherever_it_stops(
        is_zstd: bool,
        text in prop::collection::vec(any::<u8>(), 0..5_000),
        middle: prop::sample::Index,
        at: prop::sample::Index,
    ) {
        let format = if is_zstd { Format::Zstd } else { Format::Gzip };
        let first = middle.index(text.len() + 1);
        let parts = [compressed(format, &text[..first]), compressed(format, &text[first..])];
        let bytes = parts.concat();
        let at = 1 + at.index(bytes.len());
        let (read, ended) = read(format, &bytes[..at]);
        prop_assert!(text.starts_with(&read));
        let skipped = compressed(format, b"").len() - if is_zstd { zstd(b"").len() } else { gzip(b"").len() };
        let ends = [skipped, parts[0].len(), parts[0].len() + skipped, bytes.len()];
        match ended {
            Ok(_) => prop_assert!(ends.contains(&at), "{} of {ends:?}", at),
            Err(error) => {
                prop_assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                prop_assert!(!ends.contains(&at) || skipped == 0);
            }
        }
    }
}
