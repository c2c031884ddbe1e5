//! The filter of log lines.

use tracing_subscriber::EnvFilter;

/// What is wrong with a filter, if something is. A single word that is no level would be a part of the program by that
/// name, and everything else would be silent.
pub(super) fn wrong_part(filter: &str) -> Option<&str> {
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| level.eq_ignore_ascii_case(word))
    };
    let is_word = |part: &&str| !part.contains(['=', '[', ']', '{', '}', '"']);
    let wrong = filter.split(',').map(str::trim).filter(is_word).find(|word| !is_level(word));
    wrong.or_else(|| EnvFilter::try_new(filter).is_err().then_some(filter))
}
