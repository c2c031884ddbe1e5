//! The live line of `up`: one line that is drawn over on a terminal, one every few seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use common::printable::printable;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::run_report::OLD_MS;

/// Between lines where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The line, above which logs are written. Clones are the same line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    bar: ProgressBar,
    is_terminal: bool,
}

/// What the line shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sight {
    /// Rows that the generator has landed, where one runs.
    pub written: Option<u64>,
    /// Messages that the stream has.
    pub in_stream: u64,
    /// Rows in `events`.
    pub events: u64,
    /// Rows in `duplicates`.
    pub duplicates: u64,
    /// Rows in `corrupt_records`.
    pub corrupt: u64,
    /// Milliseconds from written to queryable, half of the rows and 99 of 100, lately.
    pub latency_ms: Option<(f64, f64)>,
}

/// Draws the line, and remembers when it was drawn last.
#[derive(Debug)]
pub(crate) struct Live {
    line: Line,
    drawn: Instant,
    rows: u64,
}

impl Line {
    /// A line that stays empty unless it is `used` and somebody draws it.
    pub(crate) fn new(used: bool) -> Self {
        let is_terminal = used && io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, is_terminal }
    }

    /// Makes the line a bar of so many steps.
    pub(crate) fn measure(&self, steps: u64) {
        self.bar.set_length(steps);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}, {elapsed}  {msg:40!}") {
            self.bar.set_style(style);
        }
    }

    /// Moves the bar to this step.
    pub(crate) fn reach(&self, step: u64) {
        self.bar.set_position(step);
    }

    /// Says what goes on: beside the bar on a terminal, in a line elsewhere.
    pub(crate) fn show(&self, words: impl Into<String>) {
        let words = words.into();
        if self.is_terminal {
            self.bar.set_message(printable(&words).into_owned());
            self.bar.tick();
        } else {
            tracing::info!("{words}");
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Live {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, drawn: Instant::now(), rows: 0 }
    }

    /// How often it is worth drawing.
    pub(crate) fn period(&self) -> Duration {
        if self.line.is_terminal { Duration::from_secs(1) } else { PLAIN_EVERY }
    }

    /// Draws what there is to see now.
    pub(crate) fn draw(&mut self, sight: &Sight) {
        let rows = sight.events + sight.duplicates + sight.corrupt;
        let seconds = self.drawn.elapsed().as_secs_f64().max(0.001);
        let rate = (rows - self.rows.min(rows)) as f64 / seconds;
        (self.drawn, self.rows) = (Instant::now(), rows);
        let text = words(sight, rate);
        if self.line.is_terminal {
            self.line.bar.set_message(text);
            self.line.bar.tick();
        } else {
            tracing::info!("{text}");
        }
    }
}

fn words(sight: &Sight, rate: f64) -> String {
    let mut words = Vec::new();
    if let Some(written) = sight.written {
        words.push(format!("written {}", HumanCount(written)));
    }
    words.push(format!("in stream {}", HumanCount(sight.in_stream)));
    words.push(format!("in table {}", HumanCount(sight.events)));
    words.push(format!("{rate:.0} rows/s"));
    if let Some((p50, p99)) = sight.latency_ms.filter(|(p50, _)| *p50 < OLD_MS) {
        words.push(format!("p50 {p50:.1} ms p99 {p99:.1} ms"));
    }
    words.push(format!("duplicates {}", HumanCount(sight.duplicates)));
    words.push(format!("corrupt {}", HumanCount(sight.corrupt)));
    words.join(" | ")
}

/// Writes a log line above the live line.
#[derive(Debug)]
pub(crate) struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Line {
    type Writer = Above;

    fn make_writer(&'a self) -> Above {
        Above(self.bar.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_there_is() {
        let sight = Sight { written: Some(1_200), in_stream: 1_100, events: 1_000, ..Sight::default() };
        assert_eq!(
            words(&sight, 99.6),
            "written 1,200 | in stream 1,100 | in table 1,000 | 100 rows/s | duplicates 0 | corrupt 0"
        );
    }
}
