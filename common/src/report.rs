//! What a command prints: its answer on standard output; how it ended, by an exit code and one line for a person.
//!
//! Everything that Millrace prints goes through here or, for log lines, through `telemetry`: what others have written
//! (file names, headers, values) cannot reach the terminal as anything but text.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::iter;
use std::process::ExitCode;
use std::sync::OnceLock;

use serde::Serialize;

use crate::printable::{Printable, PrintableLines, json_escaped};
use crate::problem::Problem;
use crate::secrets::{self, By};

/// Why an answer could not be printed, once it could not.
static UNPRINTED: OnceLock<io::Error> = OnceLock::new();

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Failed, or the answer is no.
    Failed,
    /// Wrong use or wrong configuration.
    WrongUse,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::WrongUse => Self::from(2),
        }
    }
}

impl Exit {
    /// The code of a finished command; an error goes to standard error with its causes.
    pub fn of(result: anyhow::Result<Self>) -> Self {
        match result {
            // A script that reads half an answer must not take it for a whole one.
            Ok(exit) => match UNPRINTED.get() {
                Some(error) => {
                    eprint_line(&format!("error: failed to write to standard output: {error}"));
                    Self::Failed
                }
                None => exit,
            },
            Err(error) => {
                // Only a few errors have several lines. Further ones are indented: none looks like a line of its own.
                let text = with_causes(error.as_ref()).trim_end().replace('\n', "\n  ");
                eprint_line(&secrets::hidden(&format!("error: {text}"), By::Others));
                let wrong_use = error.chain().any(|cause| cause.is::<Problem>());
                if wrong_use { Self::WrongUse } else { Self::Failed }
            }
        }
    }
}

/// An error and its causes in one line; a cause that its error names already is left out.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in iter::successors(error.source(), |&error| error.source()) {
        let cause = cause.to_string();
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Prints a part of a command's answer on standard output: text that may have several lines. What others have written
/// must be [printable](crate::printable) before it is put into a line. Where it cannot be written the process fails at its
/// end; a reader that has gone away, as `head` does, is no failure.
pub fn print_text(text: impl Display) {
    print(PrintableLines(text));
}

/// As [`print_text`], for exactly one line: a line end in it is escaped.
pub fn print_line(line: impl Display) {
    print(Printable(line));
}

/// Prints a command's answer as JSON, for scripts.
pub fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(answer)?;
    print(json_escaped(&json));
    Ok(())
}

fn print(text: impl Display) {
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = UNPRINTED.set(error);
    }
}

/// Where standard error cannot be written either, the exit code is all there is.
fn eprint_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", PrintableLines(text));
}
