//! Files that are not closed yet, and whether they become fewer.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use common::config::Config;
use ledger::commits::Commits;
use ledger::file_totals;
use secrecy::SecretString;

/// After how long without a closed file there is no hope. What is closed at all is closed within seconds.
const STALLED: Duration = Duration::from_mins(1);
/// How many files are named.
const NAMED: usize = 10;

/// Counts open files of a database that may go away and come back.
#[derive(Debug)]
pub(super) struct OpenFiles {
    commits: Commits,
    database: SecretString,
    landing_dir: PathBuf,
    last: Option<u64>,
    changed: Instant,
}

impl OpenFiles {
    /// Of this database and this landing directory; nothing connects yet.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let database = config.database.url.clone().context("there is no database")?;
        let commits = Commits::at(&database)?;
        Ok(Self { commits, database, landing_dir: config.landing_dir(), last: None, changed: Instant::now() })
    }

    /// Begins to wait: what was before is no progress.
    pub(super) fn watch(&mut self) {
        (self.last, self.changed) = (None, Instant::now());
    }

    /// Files in the landing directory, and files that are not closed in the database. `None` while that is away.
    pub(super) async fn count(&mut self) -> anyhow::Result<Option<u64>> {
        let landed = names(&self.landing_dir)?.len() as u64;
        let Some(open) = self.commits.open_files().await? else { return Ok(None) };
        let now = Some(landed + open.unsigned_abs());
        if now != self.last {
            (self.last, self.changed) = (now, Instant::now());
        }
        Ok(now)
    }

    /// Whether their number has not changed for too long.
    pub(super) fn is_stalled(&self) -> bool {
        self.changed.elapsed() > STALLED
    }

    /// Since when none was closed, and the names of some that are open.
    pub(super) async fn describe(&self) -> anyhow::Result<String> {
        let mut open = names(&self.landing_dir)?;
        // While the database is away, the landing directory alone has to do.
        let files = file_totals::by_file(&self.database, None).await.unwrap_or_default();
        open.extend(files.iter().filter(|file| !file.closed).map(|file| file_name(Path::new(&file.file))));
        Ok(describe(&open))
    }
}

fn describe(open: &BTreeSet<String>) -> String {
    let named: Vec<&str> = open.iter().take(NAMED).map(String::as_str).collect();
    let more = if open.len() > NAMED { ", …" } else { "" };
    let seconds = STALLED.as_secs();
    format!("for {seconds} s no file was closed; {} are open: {}{more}", open.len(), named.join(", "))
}

fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(file_name(&entry?.path()))).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_named() {
        let open = |count: u32| describe(&(1..=count).map(|number| format!("{number:02}.csv")).collect());
        assert_eq!(open(2), "for 60 s no file was closed; 2 are open: 01.csv, 02.csv");
        assert!(open(11).ends_with(
            "11 are open: 01.csv, 02.csv, 03.csv, 04.csv, 05.csv, 06.csv, 07.csv, 08.csv, 09.csv, 10.csv, …"
        ));
    }
}
