//! `--print-config`: every setting, its value and where it came from; secrets hidden.

use std::fmt::Write;

use secrecy::SecretString;
use serde::Serializer;
use serde_json::Value;

use super::{Config, Loaded};
use crate::report::{Exit, print_text};

/// Serializes a secret as whether there is one.
#[expect(clippy::ref_option, reason = "serde gives a reference to the field")]
pub(super) fn hide<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_str("***"),
        None => serializer.serialize_none(),
    }
}

impl Loaded {
    /// Prints [`Loaded::show`]: all that `--print-config` asks for.
    pub fn print(&self) -> Exit {
        print_text(self.show().trim_end());
        Exit::Ok
    }

    /// One line a setting: `key = value  # place`. Unset ones are left out.
    pub fn show(&self) -> String {
        let mut lines = String::new();
        let all = serde_json::to_value(&self.config).unwrap_or(Value::Null);
        self.list(&mut lines, "", &all);
        lines
    }

    fn list(&self, lines: &mut String, key: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(entries) => {
                for (name, value) in entries {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    self.list(lines, &key, value);
                }
            }
            Value::Array(entries) if entries.iter().any(Value::is_object) => {
                for (index, value) in entries.iter().enumerate() {
                    self.list(lines, &format!("{key}.{index}"), value);
                }
            }
            value => {
                let place =
                    self.figment.find_metadata(root(key)).map_or_else(|| "default".to_owned(), Config::place);
                let _ = writeln!(lines, "{key} = {value}  # {place}");
            }
        }
    }
}

/// figment stores where a list comes from, but not where its entries do.
pub(super) fn root(key: &str) -> &str {
    if key.starts_with("source.") { "source" } else { key }
}

impl Config {
    fn place(metadata: &figment::Metadata) -> String {
        match &metadata.source {
            Some(figment::Source::File(path)) => path.display().to_string(),
            _ => metadata.name.to_string(),
        }
    }
}
