//! Short-lived programs: run to the end, and their last words when they fail.

use std::path::Path;
use std::process::{Command, Output};

use crate::Error;

const LINES: usize = 10;

/// Runs a program to its end and gives what it wrote to standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let output =
        command.output().map_err(|source| Error::Run { program: command.get_program().into(), source })?;
    checked(&Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string(), &output)
}

/// What a program wrote to standard output, if it succeeded.
pub(crate) fn checked(program: &str, output: &Output) -> Result<String, Error> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [&*output.stdout, &*output.stderr].concat();
    Err(Error::Program {
        program: program.to_owned(),
        status: output.status.to_string(),
        output: last_lines(&String::from_utf8_lossy(&said)),
    })
}

/// The end of a program's output, indented to stand below a message.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(LINES);
    lines[from..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
