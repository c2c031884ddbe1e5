//! Logs: human lines or JSON on standard error, and a file a day where `log.dir` is set.

use std::io::IsTerminal;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::config::{Log, LogFormat};

/// How many log files are kept.
const KEPT_FILES: usize = 14;

/// Keeps the log files' writer alive; dropping it writes what is left.
#[derive(Debug)]
#[must_use = "log files lose their end when this is dropped early"]
pub struct Logs(#[expect(dead_code, reason = "held for its drop")] Option<WorkerGuard>);

/// Starts logging for the whole process. `name` begins the names of the log files.
pub fn start(config: &Log, name: &str) -> anyhow::Result<Logs> {
    start_above(config, name, std::io::stderr)
}

/// As [`start`], for a process that draws on standard error itself and takes log lines through `screen`.
pub fn start_above(
    config: &Log,
    name: &str,
    screen: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> anyhow::Result<Logs> {
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![match config.format {
        LogFormat::Human => fmt::layer()
            .with_writer(screen)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .with_filter(filter(config))
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .with_filter(filter(config))
            .boxed(),
    }];
    let mut guard = None;
    if let Some(dir) = &config.dir {
        let appender = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(name)
            .filename_suffix("log")
            .max_log_files(KEPT_FILES)
            .build(dir)?;
        let (writer, of_writer) = tracing_appender::non_blocking(appender);
        guard = Some(of_writer);
        let file = fmt::layer().with_writer(writer).with_ansi(false);
        layers.push(match config.format {
            LogFormat::Human => file.with_filter(filter(config)).boxed(),
            LogFormat::Json => file.json().flatten_event(true).with_filter(filter(config)).boxed(),
        });
    }
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(Logs(guard))
}

/// Configuration was checked, so this is the filter that it names. The libraries below speak when something is wrong.
fn filter(config: &Log) -> EnvFilter {
    EnvFilter::new(format!("async_nats=error,sqlx=warn,{}", config.level))
}
