//! When the next file is due, and how many rows it has: time passes, orders leave.

use std::time::Duration;

use common::Shutdown;
use common::config::Generate;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::dice::{Dice, Of, dice};

/// The simulated time between two rows where nothing sets a pace: 1,000 events a second.
const UNPACED_TICK: Duration = Duration::from_millis(1);

/// The slowest pace that can be asked for, an event a day, which keeps sums of times within bounds.
const SLOWEST_TICK: Duration = Duration::from_hours(24);

/// A file to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// Its rows, at least one.
    pub(super) rows: u64,
    /// The simulated time that each row takes.
    pub(super) tick: Duration,
}

/// What makes a file due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// That the one before it has landed.
    Unpaced,
    /// That the time of its last row has come; a row comes each `tick`.
    Rows { tick: Duration },
    /// That this time has passed since the one before it.
    Files { interval: Duration },
}

/// How many rows a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Fixed(u64),
    Between(u64, u64),
}

/// The files of one run.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    size: Size,
    dice: Dice,
    started: Instant,
    /// When the run ends, from its start.
    duration: Duration,
    /// How much of the time since the start the files so far account for.
    spent: Duration,
    rows_left: u64,
    files_left: u64,
}

impl Schedule {
    /// The schedule of a run that starts now.
    pub(super) fn start(config: &Generate, seed: u64) -> Self {
        let pace = match config.events_per_second {
            Some(rate) => Pace::Rows {
                tick: Duration::try_from_secs_f64(rate.recip()).unwrap_or(SLOWEST_TICK).min(SLOWEST_TICK),
            },
            None if config.count.is_some() || config.files.is_some() => Pace::Unpaced,
            None => Pace::Files { interval: config.interval },
        };
        let size = match (config.batch_size, pace) {
            (Some(rows), _) => Size::Fixed(rows.max(1)),
            (None, Pace::Rows { tick }) => Size::Fixed(times(tick, Duration::from_secs(1)).max(1)),
            (None, _) => {
                let fewest = config.min_events.max(1);
                Size::Between(fewest, config.max_events.max(fewest))
            }
        };
        Self {
            pace,
            size,
            dice: dice(Of::FileSizes, seed),
            started: Instant::now(),
            duration: config.duration.unwrap_or(Duration::MAX),
            spent: Duration::ZERO,
            rows_left: config.count.unwrap_or(u64::MAX),
            files_left: config.files.unwrap_or(u64::MAX),
        }
    }

    /// How long before now the first event must lie for none to lie ahead of now when its file lands.
    pub(super) fn lead(&self) -> Duration {
        match (self.pace, self.size) {
            (Pace::Unpaced, Size::Fixed(most) | Size::Between(_, most)) => {
                span(UNPACED_TICK, self.files_left.saturating_mul(most).min(self.rows_left))
            }
            (Pace::Rows { .. }, _) => Duration::ZERO,
            (Pace::Files { interval }, _) => interval,
        }
    }

    /// Waits until a file is due. None when the run is over: by its limits, its duration, or because of
    /// `shutdown`; the rows of a paced run whose time has come by then make a last, shorter file.
    pub(super) async fn next(&mut self, shutdown: &Shutdown) -> Option<Order> {
        let rows = self.file_size().min(self.rows_left);
        if rows == 0 || self.files_left == 0 {
            return None;
        }
        let order = match self.pace {
            Pace::Unpaced => {
                let due = self.is_reached(Duration::ZERO, shutdown).await;
                due.then_some(Order { rows, tick: UNPACED_TICK })?
            }
            Pace::Files { interval } => {
                let due = self.spent < self.duration && self.is_reached(self.spent, shutdown).await;
                self.spent += interval;
                due.then_some(Order { rows, tick: interval.div_f64(rows as f64) })?
            }
            Pace::Rows { tick } => {
                let whole = self.is_reached(self.spent + span(tick, rows), shutdown).await;
                let rows = if whole { rows } else { self.rows_of_the_last_file(tick).min(rows) };
                self.spent += span(tick, rows);
                (rows > 0).then_some(Order { rows, tick })?
            }
        };
        self.rows_left -= order.rows;
        self.files_left -= 1;
        Some(order)
    }

    fn file_size(&mut self) -> u64 {
        match self.size {
            Size::Fixed(rows) => rows,
            Size::Between(fewest, most) => self.dice.random_range(fewest..=most),
        }
    }

    /// Waits until `due` has passed since the start; false when the run ends before.
    async fn is_reached(&self, due: Duration, shutdown: &Shutdown) -> bool {
        let elapsed = self.started.elapsed();
        if shutdown.is_draining() || elapsed > self.duration {
            return false;
        }
        // Even the shortest sleep takes a millisecond, which a file that is late does not have.
        let Some(wait) = due.checked_sub(elapsed) else { return true };
        tokio::select! {
            biased;
            () = sleep(wait) => true,
            () = sleep(self.duration.saturating_sub(elapsed)) => false,
            () = shutdown.draining() => false,
        }
    }

    /// The rows whose time has come when the run ends; no file comes after them.
    fn rows_of_the_last_file(&mut self, tick: Duration) -> u64 {
        self.files_left = 1;
        let come = self.started.elapsed().min(self.duration);
        times(tick, come.saturating_sub(self.spent))
    }
}

/// The time that `rows` take.
fn span(tick: Duration, rows: u64) -> Duration {
    tick.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX))
}

/// How many ticks fit into `time`.
fn times(tick: Duration, time: Duration) -> u64 {
    let ticks = time.as_nanos() / tick.as_nanos().max(1);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
