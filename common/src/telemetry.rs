//! Logs: human lines or JSON on standard error, and a file a day where `log.dir` is set.
//!
//! Each line passes `Guarded`, which lets through no secret, and nothing that controls a terminal or begins another line.

mod guarded;

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{Log, LogFormat};
use guarded::{Guarded, Lines};

/// How many log files are kept.
const KEPT_FILES: usize = 14;

/// Keeps the log files' writer alive; dropping it writes what is left.
#[derive(Debug)]
#[must_use = "log files lose their end when this is dropped early"]
pub struct Logs(#[expect(dead_code, reason = "held for its drop")] Option<WorkerGuard>);

/// Starts logging for the whole process. `name` begins the names of the log files.
pub fn start(config: &Log, name: &str) -> anyhow::Result<Logs> {
    start_above(config, name, io::stderr)
}

/// As [`start`], for a process that draws on standard error itself and takes log lines through `screen`.
pub fn start_above(
    config: &Log,
    name: &str,
    screen: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> anyhow::Result<Logs> {
    let is_terminal = io::stderr().is_terminal();
    let mut layers: Vec<Boxed> = vec![match config.format {
        LogFormat::Human => {
            let lines = if is_terminal { Lines::Coloured } else { Lines::Plain };
            human(config, Guarded::new(screen, lines), is_terminal)
        }
        LogFormat::Json => json(config, Guarded::new(io::stderr, Lines::Json)),
    }];
    let mut guard = None;
    if let Some(dir) = &config.dir {
        std::fs::create_dir_all(dir)
            .with_context(|| format!("failed to create log.dir {}", dir.display()))?;
        let appender = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(name)
            .filename_suffix("log")
            .max_log_files(KEPT_FILES)
            .build(dir)?;
        let (writer, of_writer) = tracing_appender::non_blocking(appender);
        guard = Some(of_writer);
        layers.push(match config.format {
            LogFormat::Human => human(config, Guarded::new(writer, Lines::Plain), false),
            LogFormat::Json => json(config, Guarded::new(writer, Lines::Json)),
        });
    }
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(Logs(guard))
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn human<W>(config: &Log, to: Guarded<W>, is_coloured: bool) -> Boxed
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(to).with_ansi(is_coloured).with_target(false);
    layer.with_filter(filter(config)).boxed()
}

fn json<W>(config: &Log, to: Guarded<W>) -> Boxed
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer().json().flatten_event(true).with_writer(to).with_filter(filter(config)).boxed()
}

/// Configuration was checked, so this is the filter that it names. The libraries below speak when something is wrong,
/// and errors are printed unless the filter says otherwise.
fn filter(config: &Log) -> EnvFilter {
    EnvFilter::new(format!("error,async_nats=error,sqlx=warn,{}", config.level))
}
