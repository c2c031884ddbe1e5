use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::config::show::hide;

/// The database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://user:password@host:port/database`. `millrace up` starts one where it is unset.
    #[serde(serialize_with = "hide")]
    pub url: Option<SecretString>,
    /// A file that holds the password of the user in `url`.
    pub password_file: Option<PathBuf>,
    /// How long one attempt to connect may take, and how long an answer may be missing before the server is asked on
    /// another connection whether it is still at work.
    #[serde(with = "humantime_serde")]
    pub answer_timeout: Duration,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, password_file: None, answer_timeout: Duration::from_secs(10) }
    }
}
