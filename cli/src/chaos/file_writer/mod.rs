//! Writes CSV files into the landing directory, and appends to them, renames, truncates, rewrites and removes them,
//! until it is asked to end. What leaves is a record of everything that it wrote.
//!
//! It shares no code with the product's generator, mapper and reader: the record is what tables are compared with.

pub(super) mod content; // what a file has
pub(super) mod rows; // a serial number -> a row
mod compressed; // a content -> gzip, zstd
mod deck; // which kind of strike comes next
mod files; // what is done to files

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::expected::Expected;
use super::kind::Kind;
use files::Files;

/// Between two turns.
const TURN: Duration = Duration::from_millis(20);
/// Rows a second to fill the stream, and how many: their messages are more than it holds.
const FLOOD: (u32, u64) = (10_000, 35_000);
/// While so many files wait in the landing directory, no others come: what runs has to catch up.
const WAITING_FILES: usize = 400;
/// Between two counts of them.
const COUNT_EVERY: Duration = Duration::from_millis(500);

/// What the writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything.
    All,
    /// Nothing that destroys rows.
    Grow,
    /// As [`Mode::Grow`], much faster, until the stream ought to be full.
    Flood,
    /// Nothing.
    Hold,
    /// It strikes in each chosen way that has not come yet, and ends.
    Complete,
    /// It ends.
    End,
}

/// The writer, at work in a thread of its own. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct FileWriter {
    mode: watch::Sender<Mode>,
    /// What it does, which follows the mode when what it was doing is done.
    doing: watch::Receiver<Mode>,
    work: JoinHandle<io::Result<Expected>>,
}

/// How it writes.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// For choosing rows and what is done to files.
    pub(super) seed: u64,
    /// The landing directory.
    pub(super) dir: PathBuf,
    /// Rows a second.
    pub(super) pace: u32,
    /// What may be done to files.
    pub(super) kinds: BTreeSet<Kind>,
}

impl FileWriter {
    /// Begins with [`Mode::All`].
    pub(super) fn start(settings: Settings) -> Self {
        let (mode, ordered) = watch::channel(Mode::All);
        let (done, doing) = watch::channel(Mode::All);
        let work = tokio::task::spawn_blocking(move || write(&settings, &ordered, &done));
        Self { mode, doing, work }
    }

    /// Returns when it does so.
    pub(super) async fn set(&mut self, mode: Mode) -> anyhow::Result<()> {
        self.mode.send_replace(mode);
        self.doing.wait_for(|doing| *doing == mode).await.map(drop).context("the writer of files has ended")
    }

    /// Whether it has ended, which it only does by itself when a file cannot be written.
    pub(super) fn has_ended(&self) -> bool {
        self.work.is_finished()
    }

    /// Ends it and gives what it has written. `last` is [`Mode::End`], or [`Mode::Complete`] where rows may be destroyed.
    pub(super) async fn end(self, last: Mode) -> anyhow::Result<Expected> {
        self.mode.send_replace(last);
        let written = self.work.await.context("the writer of files panicked")?;
        written.context("failed to write files")
    }
}

/// The thread.
fn write(
    settings: &Settings,
    mode: &watch::Receiver<Mode>,
    doing: &watch::Sender<Mode>,
) -> io::Result<Expected> {
    let mut files = Files::new(settings)?;
    let (mut due, mut last) = (0.0, Instant::now());
    let (mut waiting, mut counted, mut flooded) = (0, Instant::now(), 0);
    // The sender is gone where the run was cut off.
    while mode.has_changed().is_ok() {
        let now = *mode.borrow();
        if now == Mode::Complete {
            files.strike_missing()?;
        }
        if matches!(now, Mode::Hold | Mode::Complete | Mode::End) && *doing.borrow() != now {
            files.finish_members()?;
        }
        if doing.send_replace(now) != now {
            flooded = 0;
        }
        let passed = last.elapsed();
        last = Instant::now();
        if counted.elapsed() >= COUNT_EVERY {
            waiting = std::fs::read_dir(&settings.dir)?.count();
            counted = last;
        }
        let pace = match now {
            Mode::Complete | Mode::End => break,
            Mode::All | Mode::Grow if waiting < WAITING_FILES => settings.pace,
            Mode::Flood if flooded < FLOOD.1 => settings.pace.max(FLOOD.0),
            Mode::Hold | Mode::All | Mode::Grow | Mode::Flood => 0,
        };
        // What was missed while nothing could be written is not made up for.
        let pace = f64::from(pace);
        due = (due + passed.as_secs_f64() * pace).min(pace * 0.25);
        while due > 0.0 {
            let written = files.strike(now)?;
            flooded += written;
            due -= written as f64;
        }
        std::thread::sleep(TURN);
    }
    Ok(files.into_expected())
}
