//! One configuration for every process: defaults, then `millrace.toml`, then `.env` and the environment, then flags.
//!
//! What enters is text from four places; what leaves is a [`Config`] in which every value has been checked, or one
//! line that names the place, the key and what to write instead.

mod args;
mod directories;
mod environment;
mod log_level;
mod password_file;
mod problem;
mod sections;
mod show;
mod source;
mod validate;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::{Deserialize, Serialize};

use crate::secrets;

pub use crate::problem::Problem;
pub use args::{Args, Flags};
pub use password_file::url_with_password;
pub use sections::{
    Batch, Consumer, Database, Events, Generate, Health, Log, LogFormat, Nats, OnClose, Programs, Publish,
    Stopping, Stream, Tail, UnknownColumns,
};
pub use source::{EventTypes, IdScope, Source};

/// The file that is read when `--config` names none; it may be absent.
pub const FILE: &str = "millrace.toml";

/// Every setting of every process; each reads the sections that concern it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where landing, archive, checkpoints and the private services' state live.
    pub data_dir: PathBuf,
    pub log: Log,
    pub nats: Nats,
    pub database: Database,
    pub stream: Stream,
    pub tail: Tail,
    pub publish: Publish,
    pub events: Events,
    /// How files map to the event; the first that fits a file's name is taken, a built-in one comes last.
    pub source: Vec<Source>,
    pub generate: Generate,
    pub batch: Batch,
    pub consumer: Consumer,
    pub shutdown: Stopping,
    pub health: Health,
    /// The private services of `millrace up`.
    pub sandbox: Programs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            log: Log::default(),
            nats: Nats::default(),
            database: Database::default(),
            stream: Stream::default(),
            tail: Tail::default(),
            publish: Publish::default(),
            events: Events::default(),
            source: Vec::new(),
            generate: Generate::default(),
            batch: Batch::default(),
            consumer: Consumer::default(),
            shutdown: Stopping::default(),
            health: Health::default(),
            sandbox: Programs::default(),
        }
    }
}

/// A checked configuration together with where each value came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    figment: Figment,
}

impl Config {
    /// Merges the four places and checks the result; nothing else of the process has started yet.
    ///
    /// `file` is what `--config` names: it must exist. Without it `millrace.toml` is read where there is one.
    pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Loaded, Problem> {
        let mut figment = Figment::new();
        match file {
            Some(path) if !path.is_file() => return Err(Problem::no_file(path)),
            Some(path) => figment = figment.merge(Toml::file_exact(path)),
            None if Path::new(FILE).is_file() => figment = figment.merge(Toml::file_exact(FILE)),
            None => {}
        }
        for setting in environment::settings(Path::new(".env"), std::env::vars_os())? {
            figment = figment.merge(setting);
        }
        for flag in &flags.0 {
            figment = figment.merge(flag.clone());
        }
        let mut config: Config = figment.extract().map_err(|error| Problem::of_figment(&error))?;
        let wrong = validate::first_problem(&config).or_else(|| directories::first_overlap(&config));
        if let Some((key, what)) = wrong {
            return Err(Problem::of_key(&figment, &key, &what));
        }
        password_file::read(&mut config).map_err(|(key, what)| Problem::of_key(&figment, &key, &what))?;
        [&config.nats.url, &config.database.url].into_iter().flatten().for_each(secrets::keep_url);
        Ok(Loaded { config, figment })
    }

    /// [`Config::load`] with the flags that every command takes.
    pub fn load_with(args: &Args, mut flags: Flags) -> Result<Loaded, Problem> {
        flags.set("data_dir", "--data-dir", args.data_dir.as_ref());
        Self::load(args.config.as_deref(), &flags)
    }

    /// Refuses a configuration that names no broker.
    pub fn needs_nats(&self) -> Result<(), Problem> {
        let missing =
            "nats.url is not set; set NATS_URL to nats://user:password@host:4222, or use `millrace up`";
        self.nats.url.as_ref().map(|_| ()).ok_or_else(|| Problem::new(missing))
    }

    /// Refuses a configuration that names no database.
    pub fn needs_database(&self) -> Result<(), Problem> {
        let missing = "database.url is not set; set DATABASE_URL to postgres://user:password@host:5432/database, or \
                       use `millrace up`";
        self.database.url.as_ref().map(|_| ()).ok_or_else(|| Problem::new(missing))
    }

    pub fn landing_dir(&self) -> PathBuf {
        self.tail.landing_dir.clone().unwrap_or_else(|| self.data_dir.join("landing"))
    }

    pub fn archive_dir(&self) -> PathBuf {
        self.tail.archive_dir.clone().unwrap_or_else(|| self.data_dir.join("archive"))
    }

    pub fn checkpoint_dir(&self) -> PathBuf {
        self.tail.checkpoint_dir.clone().unwrap_or_else(|| self.data_dir.join("checkpoints"))
    }
}

#[cfg(test)]
mod tests;
