//! The end of a run: nothing is struck any more, every file is to be closed, and every process ends in good order.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::plan::Victim;
use super::processes::{Part, ending};
use super::rig::Rig;
use super::storm::Tally;

/// How long the rows that are on their way may take.
const CLOSING: Duration = Duration::from_mins(2);
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(100);

/// How everything ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// What did not end as it should.
    pub(super) complaints: Vec<String>,
    /// Whether `millrace verify` finds nothing wrong.
    pub(super) is_verified: bool,
}

/// Ends the generator, the producer when every file is closed, and then the consumers.
pub(super) async fn finish(rig: &mut Rig, tally: &mut Tally) -> anyhow::Result<Ending> {
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
    Ok(Ending { complaints, is_verified: verify(rig).await? })
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
            tally.mourn(death)?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The proof that a user has. It reads every table, and may take long.
async fn verify(rig: &Rig) -> anyhow::Result<bool> {
    let verify = rig.launcher.start(Part::Verify).await?;
    let status = tokio::time::timeout(CLOSING, verify.ended()).await;
    Ok(status.is_ok_and(|status| status.success()))
}

fn complaint(who: &str, status: ExitStatus) -> Option<String> {
    (!status.success()).then(|| format!("{who}, asked to end, ended with {}", ending(status)))
}
