use std::fs;
use std::io::Write as _;
use std::path::Path;

use common::FileId;
use common::config::{Config, Source};

use super::*;
use crate::file::Position;
use crate::file::content::Got;
use crate::file::identity::Identity;

const HEADER: &str = "event,time,note\n";
const LIMITS: Limits = Limits { max_record_bytes: 1_024, max_payload: 2_048 };

/// A file that is read from behind its header.
struct Read {
    dir: tempfile::TempDir,
    reading: Reading,
    /// The most bytes that were at hand.
    most: usize,
}

impl Read {
    fn of(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, format!("{HEADER}{text}")).unwrap();
        let source = Source { comment: Some('#'), ..Source::default() };
        let header = HEADER.trim_end().split(',').map(str::to_owned).collect();
        let mapping = Mapping::resolve(&Config::default(), &source, b',', header).unwrap();
        let identity = Identity { inode: 1, head_length: 1, head_hash: 1, incarnation: 0 };
        let mut checkpoint = Checkpoint::new(FileId::from(1), identity, &path);
        checkpoint.reached = Position { offset: HEADER.len() as u64, ..Position::default() };
        let reading = Reading::new(checkpoint, &Arc::new(mapping), LIMITS, Buffer::default());
        Self { dir, reading, most: 0 }
    }

    fn append(&self, text: &str) {
        let path = self.dir.path().join("a.csv");
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Opens the file, reads it and closes it, as the tailer does. Returns whether each row is an event.
    fn read(&mut self, finish: bool, sendable: usize) -> (Vec<bool>, Result<(), TooLarge>) {
        let mut rows = Vec::new();
        let taken = self.reading.resume(sendable).and_then(|()| self.take(finish, &mut rows));
        self.reading.reader.buffer.close();
        (rows, taken)
    }

    fn take(&mut self, finish: bool, rows: &mut Vec<bool>) -> Result<(), TooLarge> {
        let path: &Path = &self.dir.path().join("a.csv");
        let reached = self.reading.checkpoint.reached;
        self.reading.reader.reopen(reached, Buffer::open(path, &reached).unwrap().0);
        loop {
            let got = self.reading.reader.fill().unwrap();
            self.most = self.most.max(self.reading.reader.buffer.rest().len());
            let mut chunk = Chunk::default();
            let taken = self.reading.take(finish && got == Got::End, 0, &mut chunk);
            rows.extend(chunk.messages.iter().map(|message| message.rejected.is_none()));
            taken?;
            if got == Got::End {
                return Ok(());
            }
        }
    }
}

fn row(note: &str) -> String {
    format!("view,2024-01-01 00:00:00,{note}\n")
}

#[test]
fn a_comment_without_end_is_not_gathered_and_is_no_row_however_it_comes() {
    let mut read = Read::of(&(row("a") + "\n\n# "));
    let before = (HEADER.len() + row("a").len() + 2) as u64;
    for piece in ["x".repeat(500), "x".repeat(1_000_000), "x".repeat(1_000_000)] {
        read.append(&piece);
        read.read(true, usize::MAX).1.unwrap();
        assert_eq!(
            (read.reading.checkpoint.reached.row, read.reading.checkpoint.reached.offset),
            (1, before)
        );
    }
    assert!(read.most < 100_000, "{} bytes were at hand", read.most);
    read.append(&("\n# another\n".to_owned() + &row("b") + &row("c")));
    assert_eq!(read.read(true, usize::MAX).0, [true, true]);
    assert_eq!(read.reading.checkpoint.reached.row, 3);
}

#[test]
fn rule_limits_are_pinned_and_a_row_that_is_too_large_now_is_read_later() {
    let overlong = "y".repeat(5_000);
    let text = row("a") + &row(&"x".repeat(700)) + &row("b") + &overlong + "\n" + &row("c");
    let mut read = Read::of(&text);
    let whole = Read::of(&text).read(true, usize::MAX).0;
    assert_eq!(whole, [true, true, true, false, true]);
    let offset = (HEADER.len() + row("a").len()) as u64;
    for _ in 0..2 {
        let (rows, held) = read.read(true, 600);
        assert_eq!((held.unwrap_err().row, read.reading.checkpoint.reached.offset), (2, offset));
        assert!(rows.len() <= 1 && read.reading.checkpoint.reached.row == 1);
    }
    // The overlong line makes the largest message.
    let (rows, held) = read.read(true, 1_200);
    assert_eq!((rows, held.unwrap_err().row), (vec![true, true], 4));
    assert_eq!(read.reading.checkpoint.reached.rejected, 0);
    assert_eq!(read.read(true, LIMITS.max_payload), (vec![false, true], Ok(())));
    assert_eq!(read.reading.checkpoint.reached.offset, (HEADER.len() + text.len()) as u64);
}

#[test]
fn rule_limits_are_pinned_with_the_checkpoint() {
    let read = Read::of("");
    assert_eq!(read.reading.checkpoint.limits, Some(LIMITS));
    let json = serde_json::to_string(&read.reading.checkpoint).unwrap();
    let again: Checkpoint = serde_json::from_str(&json).unwrap();
    let mapping = again.mapping.clone().unwrap_or_else(|| Arc::new(read.reading.reader.mapping().clone()));
    let other = Limits { max_record_bytes: 7, max_payload: 7 };
    assert_eq!(
        Reading::new(again.clone(), &mapping, other, Buffer::default()).checkpoint.limits,
        Some(LIMITS)
    );
    // One of an older version takes what it finds.
    let older = json.replace(r#""limits":{"max_record_bytes":1024,"max_payload":2048},"#, "");
    assert!(older.len() < json.len());
    let older: Checkpoint = serde_json::from_str(&older).unwrap();
    assert_eq!(Reading::new(older, &mapping, other, Buffer::default()).checkpoint.limits, Some(other));
}
