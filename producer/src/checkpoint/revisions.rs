//! Revisions of totals: each is greater than every one before it, also if the clock is set back.
//!
//! A revision is the time, so that revisions rise also if earlier ones are unknown, but at least the last one plus one. A
//! limit that no revision exceeds is written to disk before it is used, and the next process begins behind it. The limit
//! covers a minute, so it is written once a minute.

use std::fs;
use std::io;
use std::path::Path;

use crate::checkpoint::disk::{self, Error};

/// How far behind a new revision the limit is set, in microseconds.
const RESERVED: i64 = 60_000_000;

pub(super) const REVISION_LIMIT: &str = "revision_limit";

/// For all files of one directory.
#[derive(Debug)]
pub(super) struct Revisions {
    last: i64,
    limit: i64,
}

impl Revisions {
    /// Continues behind the limit in `dir`, and behind `last`.
    pub(super) fn open(dir: &Path, last: i64) -> Result<Self, Error> {
        let path = dir.join(REVISION_LIMIT);
        let limit = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|error| Error::Unreadable {
                path,
                what: format!("\"{}\" is not a whole number ({error})", text.trim()),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(disk::io_error("read", &path)(error)),
        };
        Ok(Self { last: last.max(limit), limit })
    }

    pub(super) fn next(&mut self, dir: &Path, now_us: i64) -> Result<i64, Error> {
        let next = now_us.max(self.last.saturating_add(1));
        if next > self.limit {
            let limit = next.saturating_add(RESERVED);
            disk::replace(dir, REVISION_LIMIT, format!("{limit}\n").as_bytes())?;
            self.limit = limit;
        }
        self.last = next;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_time_goes_back_and_revisions_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut revisions = Revisions::open(dir.path(), 0).unwrap();
        let noon = 1_700_000_000_000_000;
        let mut last = 0;
        // Forward, standing still, back by hours, back to 1970.
        for now in [noon, noon, noon + 30_000_000, noon - 7_200_000_000, 0] {
            let next = revisions.next(dir.path(), now).unwrap();
            assert!(next > last, "{next} does not follow {last}");
            last = next;
        }
        // Nothing but the limit survives the crash of a machine whose clock then begins at 1970.
        let mut revisions = Revisions::open(dir.path(), 0).unwrap();
        assert!(revisions.next(dir.path(), 1).unwrap() > last);
        let later = revisions.next(dir.path(), noon * 2).unwrap();
        assert_eq!(later, noon * 2, "by the clock again as soon as that is ahead");
    }

    #[test]
    fn a_limit_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(REVISION_LIMIT), "soon\n").unwrap();
        let error = Revisions::open(dir.path(), 0).unwrap_err().to_string();
        assert!(error.contains("revision_limit") && error.contains("soon"), "{error}");
    }
}
