use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::config::show::hide;

/// The broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// `nats://[user:password@]host:port`, several separated by commas. `millrace up` starts one where it is unset.
    #[serde(serialize_with = "hide")]
    pub url: Option<SecretString>,
    /// A file that holds the password of the user in `url`.
    pub password_file: Option<PathBuf>,
    /// A credentials file (`.creds`), where the server's account needs one.
    pub credentials: Option<PathBuf>,
    /// How long one attempt to connect may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl Default for Nats {
    fn default() -> Self {
        Self { url: None, password_file: None, credentials: None, connect_timeout: Duration::from_secs(5) }
    }
}
