//! A formatted log line enters; the same line leaves without secrets, and with nothing that controls a terminal.

use std::io::{self, Write};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use crate::printable::{Printable, json_escaped};
use crate::secrets::{self, By};

/// The crates whose lines hold no secret: they never log one.
const OURS: [&str; 6] = ["common", "producer", "consumer", "sandbox", "cli", "millrace"];

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Text.
    Plain,
    /// Text with the formatter's own colours. Escape characters of values are escaped by it.
    Coloured,
    /// A JSON object.
    Json,
}

/// Makes writers that hold each line against what must not be printed.
#[derive(Debug)]
pub(super) struct Guarded<M> {
    to: M,
    lines: Lines,
}

impl<M> Guarded<M> {
    pub(super) fn new(to: M, lines: Lines) -> Self {
        Self { to, lines }
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Guarded<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { to: self.to.make_writer(), lines: self.lines, by: By::Others }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Self::Writer {
        let root = about.target().split("::").next().unwrap_or_default();
        let by = if OURS.contains(&root) { By::Us } else { By::Others };
        Line { to: self.to.make_writer_for(about), lines: self.lines, by }
    }
}

/// Writes one line, which the formatter gives as a whole.
#[derive(Debug)]
pub(super) struct Line<W> {
    to: W,
    lines: Lines,
    by: By,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = secrets::hidden(text.strip_suffix('\n').unwrap_or(&text), self.by);
        let line = match self.lines {
            Lines::Plain => Printable(text).to_string(),
            Lines::Coloured => coloured(&text),
            Lines::Json => json_escaped(&text.replace('\n', " ")).into_owned(),
        };
        // There is no other place to say that a line cannot be written.
        let _ = self.to.write_all((line + "\n").as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Printable but for colours: `ESC [`, digits and semicolons, `m`.
fn coloured(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut line = Printable(parts.next().unwrap_or_default()).to_string();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';');
        let begins = if end.is_some_and(|end| part[end..].starts_with('m')) { "\x1b[" } else { "\\u{1b}[" };
        line += begins;
        line += &Printable(part).to_string();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, lines: Lines) -> String {
        let mut line = Line { to: Vec::new(), lines, by: By::Us };
        line.write_all(text.as_bytes()).unwrap();
        String::from_utf8(line.to).unwrap()
    }

    #[test]
    fn rule_nothing_controls_the_terminal_in_logs() {
        let hostile = "WARN a\x1b[2J\nFORGED \u{9b}31m \u{202e}\n";
        let escaped = "WARN a\\u{1b}[2J\\nFORGED \\u{9b}31m \\u{202e}\n";
        assert_eq!(written(hostile, Lines::Plain), escaped);
        assert_eq!(written(hostile, Lines::Coloured), escaped);
        assert_eq!(
            written("\x1b[2m12:00\x1b[0m \x1b[33;1mWARN\x1b[0m\x1b x\n", Lines::Coloured),
            "\x1b[2m12:00\x1b[0m \x1b[33;1mWARN\x1b[0m\\u{1b} x\n"
        );
        assert_eq!(written("{\"a\":\"\u{9b}\\n\"}\n", Lines::Json), "{\"a\":\"\\u009b\\n\"}\n");
    }
}
