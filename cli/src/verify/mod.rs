//! `millrace verify`: whether every file is reconciled, counted from the tables themselves.
//!
//! Files are counted in one snapshot. One of which rows are missing is looked at again, after everything that was in
//! the stream has been committed: what is missing then is missing, and not merely late.

mod check;
mod in_flight;
mod show;

use anyhow::Context;
use common::config::Config;
use common::{Exit, Shutdown};
use producer::CheckpointSummary;
use sandbox::Services;
use secrecy::SecretString;

use crate::run_report::{Latency, RunReport, Total};
use crate::services;
use check::{Checked, Evidence, Verdict};
use show::InFlight;
pub(crate) use show::Proof;

/// Verifies, and prints the result.
pub(crate) async fn run(mut config: Config, json: bool, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    services::refuse_empty(&config, Services::BOTH)?;
    let own = services::provide(&mut config, Services::BOTH).await?;
    let proving = Box::pin(async {
        // The tables prove it, also where the broker is away.
        services::reach(&config, Services { nats: false, postgres: true }).await?;
        let proof = prove(&config, shutdown).await?;
        proof.print(json)?;
        Ok(if proof.is_reconciled() { Exit::Ok } else { Exit::Failed })
    });
    services::end_with(own, proving).await
}

/// Verifies; changes nothing.
pub(crate) async fn prove(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Proof> {
    let url = config.database.url.as_ref().context("there is no database")?;
    let mut evidence = gather(config, url, None).await?;
    let doubtful = |one: &Evidence| matches!(one.check(false).verdict, Verdict::Broken | Verdict::InFlight);
    let doubtful: Vec<i64> =
        evidence.iter().filter(|one| doubtful(one)).map(|one| one.ledger.totals.file_id).collect();
    let messages = match in_flight::look(config, !doubtful.is_empty(), shutdown).await {
        Ok(messages) => Some(messages),
        Err(error) => {
            tracing::warn!("what is in flight is not known: {error:#}");
            None
        }
    };
    if !doubtful.is_empty() {
        evidence.retain(|one| !doubtful.contains(&one.ledger.totals.file_id));
        evidence.extend(gather(config, url, Some(&doubtful)).await?);
    }
    let gone_back = match messages {
        Some(messages) => ledger::file_rows::rollback(url, messages.status.acknowledged()).await?,
        None => None,
    };
    // A row of which it is not known whether it is on its way counts as missing.
    let is_settled = messages.is_none_or(|messages| messages.is_settled);
    let mut files: Vec<Checked> = evidence.iter().map(|one| one.check(is_settled)).collect();
    files.sort_by(|a, b| (a.verdict, &a.totals.file).cmp(&(b.verdict, &b.totals.file)));
    let pace = ledger::file_totals::throughput(url).await?;
    Ok(Proof {
        in_flight: InFlight::of(&files, messages),
        gone_back: gone_back.as_ref().map(ToString::to_string),
        report: RunReport {
            total: Total::of(files.iter().map(|file| &file.totals)),
            reconciled: (gone_back.is_none() && files.iter().all(|file| file.verdict != Verdict::Broken))
                .into(),
            files,
            parked: Vec::new(),
            interrupted: false,
            rows_written: pace.rows_written.unsigned_abs(),
            rows_per_second: pace.rows_per_second,
            latency_ms: Latency { p50: pace.p50_ms, p99: pace.p99_ms },
        },
    })
}

/// What the tailer remembers of files, where its checkpoints are on this machine.
pub(crate) fn checkpoints(config: &Config) -> Vec<CheckpointSummary> {
    producer::checkpoint_summaries(config)
        .inspect_err(|error| tracing::warn!("what the tailer remembers is not known: {error:#}"))
        .ok()
        .flatten()
        .unwrap_or_default()
}

/// What tables and checkpoints say of `files`, or of all. Checkpoints first: what is closed by then is in the tables,
/// whatever happens meanwhile.
async fn gather(config: &Config, url: &SecretString, files: Option<&[i64]>) -> anyhow::Result<Vec<Evidence>> {
    let mut known = checkpoints(config);
    known.retain(|file| files.is_none_or(|files| files.contains(&file.file_id.get())));
    Ok(Evidence::join(ledger::file_rows::read_files(url, files).await?, known))
}
