//! The flags that every command takes, and how a flag becomes a setting.

use std::path::PathBuf;

use clap::ValueHint;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use serde::Serialize;

/// Flags of every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// Configuration file [default: millrace.toml, where there is one].
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where landing, archive, checkpoints and private services live [default: data].
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// Print the configuration and where each value came from, and end.
    #[arg(long, global = true)]
    pub print_config: bool,
}

/// What flags set; it beats every other place.
#[derive(Clone, Debug, Default)]
pub struct Flags(pub(super) Vec<Setting>);

impl Flags {
    /// None given.
    pub fn new() -> Self {
        Self::default()
    }

    /// `key` as dotted path, `flag` as the user wrote it; nothing is set where `value` is `None`.
    pub fn set(&mut self, key: &str, flag: &str, value: Option<impl Serialize>) {
        let value = value.and_then(|value| Value::serialize(value).ok());
        self.0.extend(value.map(|value| Setting::new(key, format!("flag {flag}"), value)));
    }
}

/// One value from one place which has a name.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    key: String,
    place: String,
    value: Value,
}

impl Setting {
    pub(super) fn new(key: &str, place: String, value: Value) -> Self {
        Self { key: key.to_owned(), place, value }
    }
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        Ok(nested.into_dict().map(|dict| Map::from([(Profile::Default, dict)])).unwrap_or_default())
    }
}
