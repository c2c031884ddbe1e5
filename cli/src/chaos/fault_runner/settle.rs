//! Before data is lost for good, every file is closed.
//!
//! Rows that were cut off, written over or removed can be read neither again from the file nor from a stream that was
//! lost: where both happen at the same time, Millrace can only name them. So the writer stops until every file is
//! archived, and then only adds rows, until what was lost is back.

use std::time::{Duration, Instant};

use super::{FaultRunner, LOOK, RECOVERY};
use crate::chaos::file_writer::Mode;

impl FaultRunner<'_> {
    /// Waits until every file is closed and in the archive, and lets new rows come for `load`. `false` where the run is
    /// to end.
    pub(super) async fn settle(&mut self, load: Duration) -> anyhow::Result<bool> {
        self.cluster.write(Mode::Hold).await?;
        let (mut left, mut since) = (None, Instant::now());
        loop {
            let now = self.open_files().await?;
            if now == Some(0) {
                break;
            }
            if now.is_some() && now != left {
                (left, since) = (now, Instant::now());
            }
            if since.elapsed() > RECOVERY {
                let seconds = RECOVERY.as_secs();
                self.counts.stuck(format!("nothing was written, and for {seconds} s no file was closed"));
            }
            if self.is_ending() {
                return Ok(false);
            }
            self.revive().await?;
            self.rest(LOOK * 5).await;
        }
        self.cluster.write(Mode::Grow).await?;
        self.rest(load).await;
        Ok(!self.is_ending())
    }

    /// As [`FaultRunner::settle`]; then everything is done to files again.
    pub(super) async fn end_settled(&mut self) -> anyhow::Result<()> {
        if self.settle(Duration::ZERO).await? {
            self.cluster.write(Mode::All).await?;
        }
        Ok(())
    }

    /// Files in the landing directory, and files that are not closed. `None` while the database is away.
    async fn open_files(&mut self) -> anyhow::Result<Option<i64>> {
        let landed = std::fs::read_dir(self.config.landing_dir())?.count();
        let open = self.commits.open_files().await?;
        Ok(open.map(|open| open.saturating_add(i64::try_from(landed).unwrap_or(i64::MAX))))
    }
}
