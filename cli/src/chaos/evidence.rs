//! What files, tables and stream have when everything has come to its end.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use common::config::Config;
use common::stream::{EVENTS, REJECTED, STREAM};
use common::{Shutdown, nats};
use consumer::account::FileAccount;
use consumer::{account, fates};
use futures::TryStreamExt;

use super::truth::{Truth, landed_as};
use super::verdict::{Findings, compare};

/// All that is known.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) truth: Truth,
    pub(super) accounts: Vec<FileAccount>,
    pub(super) findings: Findings,
    pub(super) redelivered: i64,
    /// Messages of rows beyond one a row, unless the stream was purged.
    pub(super) resent: Option<u64>,
}

impl Evidence {
    /// Reads all of it; nothing may be on its way any more.
    pub(super) async fn gather(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let dirs = [config.landing_dir(), config.archive_dir()];
        let read = move || Truth::read(&dirs.each_ref().map(|dir| dir.as_path()));
        let truth = tokio::task::spawn_blocking(read).await.context("reading the files panicked")??;
        let url = config.database.url.as_ref().context("there is no database")?;
        let accounts = account::from_tables(url, None).await?;
        let names: HashMap<i64, String> =
            accounts.iter().map(|file| (file.file_id, landed_as(Path::new(&file.file)))).collect();
        let findings = compare(&truth, &names, &fates::all(url).await?);
        let redelivered = fates::redelivered(url).await?;
        let messages = messages_of_rows(config, shutdown).await?;
        let resent = messages.map(|messages| messages.saturating_sub(truth.rows() as u64));
        Ok(Self { truth, accounts, findings, redelivered, resent })
    }
}

/// How many messages of rows there ever were in the stream; `None` where some were purged.
async fn messages_of_rows(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Option<u64>> {
    let nats = nats::connect(&config.nats, "millrace chaos", shutdown).await?;
    let stream = nats.jetstream.get_stream(STREAM).await.context("failed to look at the stream")?;
    if stream.cached_info().state.first_sequence > 1 {
        return Ok(None);
    }
    let mut messages = 0;
    for subjects in [format!("{EVENTS}.>"), REJECTED.to_owned()] {
        let counts =
            stream.info_with_subjects(subjects).await.context("failed to count the stream's messages")?;
        let counts: Vec<(String, usize)> =
            counts.try_collect().await.context("failed to count the stream's messages")?;
        messages += counts.into_iter().map(|(_, count)| count as u64).sum::<u64>();
    }
    Ok(Some(messages))
}
