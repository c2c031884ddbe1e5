//! Writes rejected rows to files that a person can edit: one for each file that they come from, under its own header.
//! Nothing is overwritten, and what cannot be written is counted and reported.
//!
//! The first column of such a file is the origin of the rejected row that each row replaces.

mod editable_file;
mod one_file;
mod report;
mod row_bytes;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueHint};
use common::config::{Config, Problem};
use common::{Exit, print_json, print_text};
use ledger::rejects::Rejects;

use super::Selection;
use one_file::Plan;
use report::Report;

/// Flags of `millrace rejects export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where the files go; the directory is made where it is missing.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// Print what was written as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Export {
    pub(super) async fn run(self, config: &Config, table: &mut Rejects) -> anyhow::Result<Exit> {
        refuse_landing(&self.dir, &config.landing_dir())?;
        let filter = self.selection.filter(table, false).await?;
        let mut written = Report::default();
        let mut plans = Vec::new();
        for file in table.by_file(&filter).await? {
            match Plan::of(&file) {
                Ok(plan) => plans.push(plan),
                Err(left_out) => written.left_out.push(left_out),
            }
        }
        refuse_taken(&self.dir, &plans)?;
        if !plans.is_empty() {
            fs::create_dir_all(&self.dir)
                .with_context(|| format!("failed to make {}", self.dir.display()))?;
        }
        for plan in plans {
            plan.write(&self.dir, config, (table, &filter), &mut written).await?;
        }
        if self.json {
            print_json(&written)?;
        } else {
            print_text(written.to_text());
        }
        Ok(Exit::Ok)
    }
}

/// What is written into the landing directory would be read before anybody has edited it.
fn refuse_landing(dir: &Path, landing: &Path) -> anyhow::Result<()> {
    // Neither of them needs to be there yet.
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    if whole(dir) == whole(landing) {
        anyhow::bail!(Problem::new(format!(
            "{} is the landing directory, from which files are read at once; name another directory",
            dir.display()
        )));
    }
    Ok(())
}

/// Refuses before the first file is written.
fn refuse_taken(dir: &Path, plans: &[Plan]) -> anyhow::Result<()> {
    let taken = plans.iter().map(|plan| dir.join(&plan.name)).find(|path| path.exists());
    taken.map_or(Ok(()), |path| {
        let taken =
            format!("{} is there, and is not overwritten; name a directory that is empty", path.display());
        Err(Problem::new(taken).into())
    })
}
