//! What figment, dotenvy and validation find wrong -> [`Problem`].

use std::path::Path;

use figment::error::Kind;
use figment::{Figment, Metadata, Source};
use strsim::levenshtein;

use super::show::root;
use crate::problem::Problem;

impl Problem {
    pub(super) fn no_file(path: &Path) -> Self {
        Self::new(format!(
            "{}: there is no such file; --config takes the path of a TOML file",
            path.display()
        ))
    }

    /// dotenvy's own message holds the line, and the line may hold a password.
    pub(super) fn dot_env(error: &dotenvy::Error) -> Self {
        match error {
            dotenvy::Error::LineParse(_, at) => Self::new(format!(
                ".env: a line is not NAME=value (at its character {at}); quote values that hold spaces or #"
            )),
            _ => Self::new(".env: cannot be read; make it readable or remove it".to_owned()),
        }
    }

    /// A value of the right type but out of its range; `what` says what to write instead.
    pub(super) fn of_key(figment: &Figment, key: &str, what: &str) -> Self {
        let place = place(figment.find_metadata(root(key)));
        Self::new(format!("{place}: {key} {what}"))
    }

    pub(super) fn of_figment(error: &figment::Error) -> Self {
        let place = place(error.metadata.as_ref());
        let key = error.path.join(".");
        Self::new(match &error.kind {
            Kind::UnknownField(name, known) => unknown(&place, &key, name, known),
            Kind::InvalidType(found, wanted) => {
                let (found, wanted) = (shown(&key, found), plain(wanted.clone()));
                format!("{place}: {key} = {found} is of the wrong type; write {wanted}")
            }
            Kind::InvalidValue(found, wanted) => {
                format!("{place}: {key} = {} cannot be used; write {wanted}", shown(&key, found))
            }
            Kind::UnknownVariant(found, known) => {
                format!("{place}: {key} = \"{found}\" is not known; write one of {}", known.join(", "))
            }
            // The TOML parser's own text has several lines, the last of which says what is wrong. Those between show the
            // text of the file, which may hold a password.
            Kind::Message(text) if key.is_empty() => {
                let said: Vec<&str> = text.lines().filter(|line| !line.contains('|')).collect();
                format!("{place}: {}", one_line(&said.join("\n")))
            }
            kind => format!("{place}: {key}: {}", one_line(&kind.to_string())),
        })
    }
}

/// A name where a person looks for it: the file, the variable, the flag.
fn place(metadata: Option<&Metadata>) -> String {
    match metadata {
        Some(Metadata { source: Some(Source::File(path)), .. }) => path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned()),
        Some(metadata) => metadata.name.to_string(),
        None => "configuration".to_owned(),
    }
}

/// `path` ends with the unknown name already, or is its parent: figment differs by provider.
fn unknown(place: &str, path: &str, name: &str, known: &[&str]) -> String {
    let parent = path.strip_suffix(name).map_or(path, |parent| parent.trim_end_matches('.'));
    let key = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
    let near =
        known.iter().min_by_key(|known| levenshtein(known, name)).filter(|near| levenshtein(near, name) <= 3);
    match near {
        Some(near) => format!("{place}: {key} is not a setting; did you mean {near}?"),
        None => format!("{place}: {key} is not a setting; write one of {}", known.join(", ")),
    }
}

/// The value itself, unless it could hold a password.
fn shown(key: &str, found: &figment::error::Actual) -> String {
    if key.ends_with("url") { "***".to_owned() } else { found.to_string() }
}

/// serde names Rust's types; a person wants to know what to write.
fn plain(wanted: String) -> String {
    match wanted.as_str() {
        "u16" | "u64" | "usize" | "i64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        _ => wanted,
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
