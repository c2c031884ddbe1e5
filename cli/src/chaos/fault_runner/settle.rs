//! Before data is lost for good, every file is closed.
//!
//! Rows that were cut off, written over or removed can be read neither again from the file nor from a stream that was
//! lost: where both happen at the same time, Millrace can only name them. So the writer stops until every file is
//! archived, and then only adds rows, until what was lost is back.

use std::time::Duration;

use super::{FaultRunner, LOOK};
use crate::chaos::file_writer::Mode;

impl FaultRunner<'_> {
    /// Waits until every file is closed and in the archive, and lets new rows come for `load`. `false` where the run is
    /// to end.
    pub(super) async fn settle(&mut self, load: Duration) -> anyhow::Result<bool> {
        self.cluster.write(Mode::Hold).await?;
        self.open_files.watch();
        while self.open_files.count().await? != Some(0) {
            if self.open_files.is_stalled() {
                let open = self.open_files.describe().await?;
                self.counts.stuck(format!("nothing was written, and {open}"));
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
}
