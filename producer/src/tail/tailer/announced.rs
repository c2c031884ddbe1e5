//! Files whose totals were sent and which are not closed yet. The totals are sent again where consumers have read
//! everything and the database may have lost them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Tailer;
use crate::tail::reading::Chunk;

/// The longest time until the totals of one file are sent again.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(super) struct AnnouncedFile {
    pub path: PathBuf,
    /// When its totals were sent last, and how long it is until they are sent again.
    sent: Instant,
    pause: Duration,
}

impl AnnouncedFile {
    pub(super) fn new(path: &Path, pause: Duration) -> Self {
        Self { path: path.to_owned(), sent: Instant::now(), pause }
    }

    /// Whether its totals are to be sent again, which counts as sent. The pause doubles each time: they may not be what
    /// it waits for.
    fn is_due(&mut self) -> bool {
        let is_due = self.sent.elapsed() >= self.pause;
        if is_due {
            (self.sent, self.pause) = (Instant::now(), (self.pause * 2).min(LONGEST_PAUSE));
        }
        is_due
    }
}

impl Tailer {
    /// Sends totals again, under their revisions: where the database has them, it only announces once more that the file is
    /// closed.
    pub(super) fn announce_again(&mut self) {
        let (mut chunk, mut files) = (Chunk::default(), 0);
        for announced in self.announced.values_mut() {
            let file = self.files.get(&announced.path);
            if let Some(reading) = file.and_then(|file| file.reading.as_ref())
                && announced.is_due()
            {
                reading.announce_again(&mut chunk);
                files += 1;
            }
        }
        if files > 0 {
            tracing::info!(
                files,
                "consumers have read everything, and files are not closed; sending their totals again"
            );
            self.pending.append(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_sent_again_ever_more_seldom() {
        let mut file = AnnouncedFile::new(Path::new("a.csv"), Duration::from_mins(4));
        assert!(!file.is_due());
        for pause in [8, 10, 10] {
            file.sent -= Duration::from_mins(10);
            assert!(file.is_due() && !file.is_due());
            assert_eq!(file.pause, Duration::from_mins(pause));
        }
    }
}
