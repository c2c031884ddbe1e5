//! The end of a run: nothing is struck any more, every file is to be closed, and every process ends in good order.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;

use super::cluster::Cluster;
use super::counts::Counts;
use super::expected::Expected;
use super::file_writer::Mode;
use super::open_files::OpenFiles;
use super::plan::Victim;
use super::processes::{Part, ending, is_ended_by_term};

/// How a tailer ends that has parked a file.
const PARKED: i32 = 1;
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(100);

/// Ends the writer of files, the producer when every file is closed, and then the consumers. Gives what was written.
pub(super) async fn finish(
    cluster: &mut Cluster,
    counts: &mut Counts,
    open_files: OpenFiles,
) -> anyhow::Result<Expected> {
    let writer = cluster.writer.take().context("the writer of files has ended")?;
    // A run that was cut short may be in the middle of a strike that allows no other.
    let is_cut_short = counts.is_interrupted || counts.is_stuck;
    let expected = writer.end(if is_cut_short { Mode::End } else { Mode::Complete }).await?;
    if let Some(tailer) = cluster.running.remove(&Victim::Producer) {
        let status = tailer.stop().await?;
        // It ends so when a file is parked: a compressed one was not written to its end until a moment ago.
        if status.code() != Some(PARKED) {
            counts.complaints.extend(complaint("the producer", status));
        }
    }
    close_all(cluster, counts, open_files).await?;
    for (victim, process) in std::mem::take(&mut cluster.running) {
        counts.complaints.extend(complaint(&victim.to_string(), process.stop().await?));
    }
    Ok(expected)
}

/// Lets the producer run until every file is closed, or none is closed any more.
async fn close_all(
    cluster: &mut Cluster,
    counts: &mut Counts,
    mut open_files: OpenFiles,
) -> anyhow::Result<()> {
    let tailer = cluster.run(Part::LastTailer).await?;
    open_files.watch();
    loop {
        if let Some(status) = tailer.has_ended() {
            counts.complaints.extend(complaint("the producer", status));
            return Ok(());
        }
        open_files.count().await?;
        if open_files.is_stalled() {
            counts.complaints.push(open_files.describe().await?);
            tailer.kill().await?;
            return Ok(());
        }
        let deaths = cluster.revive().await?;
        counts.add_deaths(&deaths)?;
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether `millrace verify`, the proof that a user has, finds nothing wrong.
pub(super) async fn verify(cluster: &Cluster) -> anyhow::Result<bool> {
    let verify = cluster.run(Part::Verify).await?;
    Ok(verify.ended().await.success())
}

/// A process that was started a moment ago may not listen for the signal yet, and then ends by it.
fn complaint(who: &str, status: ExitStatus) -> Option<String> {
    (!status.success() && !is_ended_by_term(status))
        .then(|| format!("{who}, asked to end, ended with {}", ending(status)))
}
