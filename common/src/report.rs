//! How a process says how it ended: an exit code, and one line for a person.

use std::io::Write as _;
use std::process::ExitCode;

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
    /// The code of a finished command; an error goes to standard error with its causes, in one line.
    pub fn of(result: anyhow::Result<Self>) -> Self {
        match result {
            Ok(exit) => exit,
            Err(error) => {
                eprint_line(&format!("error: {error:#}"));
                let wrong_use = error.chain().any(|cause| cause.is::<crate::config::Problem>());
                if wrong_use { Self::WrongUse } else { Self::Failed }
            }
        }
    }
}

/// Prints a command's answer on standard output. A reader that has gone away, as `head` does, is no failure.
pub fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[expect(clippy::print_stderr, reason = "the last word of a process goes to the person who ran it")]
fn eprint_line(line: &str) {
    eprintln!("{line}");
}
