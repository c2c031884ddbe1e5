//! What the tables have when everything has come to its end.

use std::mem;

use anyhow::Context;
use common::config::Config;
use ledger::file_totals;
use ledger::file_totals::FileTotals;
use ledger::row_outcomes::{self, RowOutcome};

use super::compare::{Comparison, Findings};
use super::expected::Expected;

/// What was found.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) totals: Vec<FileTotals>,
    pub(super) findings: Findings,
    pub(super) redelivered: i64,
}

impl Observed {
    /// Reads the tables, a file at a time, and compares them. Nothing may be in flight any more.
    pub(super) async fn read(config: &Config, expected: &Expected) -> anyhow::Result<Self> {
        let url = config.database.url.as_ref().context("there is no database")?;
        let mut comparison = Comparison::new(expected);
        let mut file: Vec<RowOutcome> = Vec::new();
        row_outcomes::read(url, |row| {
            if file.last().is_some_and(|last| last.file_id != row.file_id) {
                comparison.add(&mem::take(&mut file));
            }
            file.push(row);
        })
        .await?;
        comparison.add(&file);
        let mut findings = comparison.end();
        findings.add_duplicates_without_event(row_outcomes::duplicates_without_event(url).await?);
        let totals = file_totals::from_tables(url, None).await?;
        Ok(Self { totals, findings, redelivered: row_outcomes::redelivered(url).await? })
    }
}
