//! The end of a run: nothing is struck any more, every file is to be closed, and every process ends in good
//! order.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::plan::Victim;
use super::processes::{Part, ending, is_ended_by_term};
use super::rig::Rig;
use super::storm::Tally;

/// How long the rows that are on their way may take.
const CLOSING: Duration = Duration::from_mins(2);
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(100);

/// Ends the generator, the producer when every file is closed, and then the consumers. Gives what did not end
/// as it should.
pub(super) async fn finish(rig: &mut Rig, tally: &mut Tally) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    if let Some(generator) = rig.generator.take() {
        complaints.extend(complaint("the generator", generator.stop().await?));
    }
    if let Some(tailer) = rig.running.remove(&Victim::Producer) {
        complaints.extend(complaint("the producer", tailer.stop().await?));
    }
    complaints.extend(close_all(rig, tally).await?);
    for (victim, process) in std::mem::take(&mut rig.running) {
        complaints.extend(complaint(&victim.to_string(), process.stop().await?));
    }
    Ok(complaints)
}

/// Lets the producer run until every file is closed, or there is no hope.
async fn close_all(rig: &mut Rig, tally: &mut Tally) -> anyhow::Result<Option<String>> {
    let tailer = rig.launcher.start(Part::LastTailer).await?;
    let deadline = Instant::now() + CLOSING;
    loop {
        if let Some(status) = tailer.has_ended() {
            return Ok(complaint("the producer", status));
        }
        if Instant::now() > deadline {
            tailer.kill().await?;
            return Ok(Some(format!("files are still open after {} s", CLOSING.as_secs())));
        }
        for death in rig.revive().await? {
            tally.mourn(&death)?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether `millrace verify`, the proof that a user has, finds nothing wrong.
pub(super) async fn verify(rig: &Rig) -> anyhow::Result<bool> {
    let verify = rig.launcher.start(Part::Verify).await?;
    Ok(verify.ended().await.success())
}

/// A process that was started a moment ago may not listen for the signal yet, and then ends by it.
fn complaint(who: &str, status: ExitStatus) -> Option<String> {
    (!status.success() && !is_ended_by_term(status))
        .then(|| format!("{who}, asked to end, ended with {}", ending(status)))
}
