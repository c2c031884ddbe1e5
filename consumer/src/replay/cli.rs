//! `consumer replay`, which is also `millrace replay`.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use common::config::{Config, Problem};
use common::{Exit, Shutdown, print_json, print_line};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{Asked, Error, Options, OutcomeCounts, ReplayProgress, Report, TableName, When, preview, run};

/// How often the bar is drawn, and how often a line is written where there is no terminal.
const TICK: Duration = Duration::from_millis(250);
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// What to replay, and where to.
#[derive(Clone, Debug, Args)]
pub struct Replay {
    /// Only messages on this subject, such as events.purchase.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// From this sequence of the stream on [default: the first that is left].
    #[arg(long, value_name = "N")]
    from_sequence: Option<u64>,
    /// Up to this sequence [default: the last one when the replay begins].
    #[arg(long, value_name = "N")]
    to_sequence: Option<u64>,
    /// Only events that happened at this time or later: 2026-01-31T08:00:00Z, 2026-01-31, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Only events that happened before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// Only rows of this file: its path, its name, or its id.
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Fill a new table of the columns of events, instead of the tables that there are.
    #[arg(long, value_name = "TABLE")]
    into: Option<TableName>,
    /// A name under which it goes on after it was cut [default: made of the other options].
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,
    /// Messages a second, so that live rows go first.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Count what would be inserted, skipped and in conflict, by type and day; write nothing.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("write letters, digits, - and _".to_owned())
}

impl Replay {
    /// Replays, and prints the result.
    pub async fn execute(self, config: &Config, shutdown: Shutdown) -> anyhow::Result<Exit> {
        let position = ReplayProgress::default();
        let (dry_run, json) = (self.dry_run, self.json);
        let options = self.options();
        let work = async {
            if dry_run {
                let (report, outcomes) = Box::pin(preview(config, options, &position, shutdown)).await?;
                Ok((report, Some(outcomes)))
            } else {
                Ok((Box::pin(run(config, options, &position, shutdown)).await?, None))
            }
        };
        let (report, outcomes) = with_progress(&position, Box::pin(work)).await.map_err(wrong_use)?;
        // The rest of a replay that was cut may hold nothing more.
        if report.messages == 0 && report.resumed_at.is_none() {
            let Report { first_sequence, last_sequence, .. } = report;
            anyhow::bail!("no message of sequences {first_sequence} to {last_sequence} is one of those");
        }
        match (json, outcomes) {
            (true, outcomes) => print_json(&as_json(&report, outcomes.as_deref()))?,
            (false, Some(outcomes)) => print_outcomes(&report, &outcomes),
            (false, None) => print_report(&report),
        }
        Ok(Exit::Ok)
    }

    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn options(self) -> Options {
        let asked = Asked {
            subject: self.subject,
            from_sequence: self.from_sequence,
            to_sequence: self.to_sequence,
            since: self.since,
            until: self.until,
            file: self.file,
            into: self.into.as_ref().map(TableName::to_string),
        };
        Options { asked, table: self.into, name: self.name, rate: self.rate }
    }
}

/// An error of the options is a wrong use.
fn wrong_use(error: Error) -> anyhow::Error {
    match error {
        Error::NoSuchSubject { .. } | Error::NoSuchFile(_) | Error::NoTime | Error::TableExists { .. } => {
            Problem::new(error.to_string()).into()
        }
        error => error.into(),
    }
}

/// Waits for `work`, and shows how far it has come: a bar on a terminal, a line now and then elsewhere.
async fn with_progress<T>(position: &ReplayProgress, work: impl Future<Output = T> + Unpin) -> T {
    let is_terminal = std::io::stderr().is_terminal();
    let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(None, target);
    let style = "{bar:30} {human_pos} of {human_len} messages passed, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let mut tick = tokio::time::interval(if is_terminal { TICK } else { PLAIN_EVERY });
    tick.tick().await;
    let mut work = work;
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = tick.tick() => {
                let (passed, all) = position.passed();
                bar.set_length(all);
                bar.set_position(passed);
                if !is_terminal && all > 0 {
                    tracing::info!("{} of {} messages passed", HumanCount(passed), HumanCount(all));
                }
            }
        }
    };
    bar.finish_and_clear();
    done
}

fn begin(report: &Report) -> String {
    let resumed = report.resumed_at.map(|at| format!(", gone on with at {at}")).unwrap_or_default();
    format!(
        "replay {}: sequences {} to {}{resumed}, {} messages",
        report.name,
        report.first_sequence,
        report.last_sequence,
        HumanCount(report.messages)
    )
}

fn print_report(report: &Report) {
    let counts = &report.counts;
    print_line(format_args!(
        "{}: {} inserted, {} there already, {} duplicates and {} corrupt records added",
        begin(report),
        HumanCount(counts.events),
        HumanCount(counts.redelivered),
        HumanCount(counts.duplicates),
        HumanCount(counts.corrupt)
    ));
}

fn print_outcomes(report: &Report, outcomes: &[OutcomeCounts]) {
    print_line(format_args!("{}; nothing was written", begin(report)));
    print_line(format_args!(
        "{:<10} {:<20} {:>12} {:>12} {:>12} {:>12}",
        "day", "type", "messages", "inserted", "skipped", "conflicts"
    ));
    for one in outcomes {
        print_line(format_args!(
            "{:<10} {:<20} {:>12} {:>12} {:>12} {:>12}",
            one.day.as_deref().unwrap_or(""),
            one.event_type,
            one.messages,
            one.inserted,
            one.skipped,
            one.conflicts
        ));
    }
}

fn as_json(report: &Report, outcomes: Option<&[OutcomeCounts]>) -> serde_json::Value {
    json!({
        "name": report.name,
        "first_sequence": report.first_sequence,
        "last_sequence": report.last_sequence,
        "resumed_at": report.resumed_at,
        "messages": report.messages,
        "inserted": report.counts.events,
        "there_already": report.counts.redelivered,
        "duplicates": report.counts.duplicates,
        "corrupt_records": report.counts.corrupt,
        "would_be": outcomes,
    })
}
