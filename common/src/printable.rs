//! Text of others, made fit for a terminal and for one line of a log: text enters, text without controls leaves.
//!
//! File names, headers and values may hold anything. Printed as it is, an escape sequence changes the terminal, a line
//! end forges a line of output, and a bidirectional override shows another text than the one that is there.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// The longest text that a message about a file or a row shows, in characters.
pub const SHORT: usize = 200;

/// Whether printing `c` does something else than showing it: controls (C0, DEL, C1), line and paragraph separators,
/// bidirectional marks and overrides, zero-width characters and the byte order mark.
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// `text` in one line, each unsafe character as Rust writes it: `\n`, `\u{1b}`. Text that is safe is borrowed.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(is_unsafe) { Printable(text).to_string().into() } else { text.into() }
}

/// As [`printable`], of at most `longest` characters of `text`; what is cut off shows as ` …`.
pub fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{} …", Printable(&text[..end])).into(),
        None => printable(text),
    }
}

/// JSON with its unsafe characters, but for line feeds between values, as `\u001b`. They only stand within strings.
pub(crate) fn json_escaped(json: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| c != '\n' && is_unsafe(c);
    if !json.contains(is_unsafe) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

/// As [`printable`], for what has to be formatted first: paths, errors.
#[derive(Clone, Copy, Debug)]
pub struct Printable<T>(pub T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, kept: None }, "{}", self.0)
    }
}

/// Several lines: as [`Printable`], but line feeds are kept. What is put into a line must be printable before.
#[derive(Clone, Copy, Debug)]
pub struct PrintableLines<T>(pub T);

impl<T: Display> Display for PrintableLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping { to: f, kept: Some('\n') }, "{}", self.0)
    }
}

struct Escaping<W> {
    to: W,
    /// An unsafe character that passes as it is.
    kept: Option<char>,
}

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c) && Some(*c) != self.kept) {
            self.to.write_str(&rest[..at])?;
            match c {
                '\n' | '\r' | '\t' | '\0' => write!(self.to, "{}", c.escape_debug())?,
                c => write!(self.to, "{}", c.escape_unicode())?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        self.to.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_nothing_controls_the_terminal() {
        let hostile = "a\x1b[2J\r\nb\t\0\u{7f}\u{9b}1m\u{85}\u{2028}\u{202e}gnp\u{2066}\u{200b}\u{feff}z";
        let shown = printable(hostile);
        assert_eq!(
            shown,
            "a\\u{1b}[2J\\r\\nb\\t\\0\\u{7f}\\u{9b}1m\\u{85}\\u{2028}\\u{202e}gnp\\u{2066}\\u{200b}\\u{feff}z"
        );
        assert!(!shown.contains(is_unsafe));
        assert_eq!(Printable(hostile).to_string(), shown);
        assert_eq!(PrintableLines("a\n\x1b[1mb").to_string(), "a\n\\u{1b}[1mb");
    }

    #[test]
    fn json_means_the_same_escaped() {
        let value = serde_json::json!({ "a\u{9b}1m\n": "\u{7f}\u{202e}\u{e0041}\x1b" });
        let escaped = json_escaped(&format!("{value:#}")).into_owned();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        assert!(!escaped.replace('\n', "").contains(is_unsafe), "{escaped}");
    }

    #[test]
    fn what_is_safe_stays_as_it_is() {
        let text = "Größe 価格 🦀 \"quoted\" back\\slash";
        assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        assert!(matches!(shortened(text, 100), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü\x1b", 4), "äöü\\u{1b}");
        assert_eq!(shortened("äöü\x1b", 3), "äöü …");
        assert_eq!(shortened("\x1bxyz", 1), "\\u{1b} …");
    }
}
