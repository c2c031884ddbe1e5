use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Answers over HTTP whether a process is alive or ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// Whether it answers at all.
    pub enabled: bool,
    /// The address to listen on.
    pub address: IpAddr,
    /// The port, or the next free one; 9090 for a producer and 9091 for a consumer by default, 0 for any.
    pub port: Option<u16>,
    /// For how long a stage may have work and make no progress before a log line and `/healthz` report it as stuck;
    /// by default each stage has a limit of its own, from one minute to ten.
    #[serde(with = "humantime_serde")]
    pub stall_after: Option<Duration>,
}

impl Default for Health {
    fn default() -> Self {
        Self { enabled: true, address: Ipv4Addr::LOCALHOST.into(), port: None, stall_after: None }
    }
}
