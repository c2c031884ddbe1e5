//! `producer health` and `consumer health`: ask a running process, and give its answer as an exit code.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Service;
use super::serve::Answer;
use crate::config::{self, Flags, Problem};
use crate::{Exit, print_line};

/// How long an answer may take. A process that is alive answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer, in bytes.
const LONGEST: u64 = 64 << 10;

/// Flags of the command.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Ask {
    /// Ask whether it is ready (connected, migrated), and not only whether it is alive.
    #[arg(long)]
    pub ready: bool,
    /// The port on which it answers [default: that of the configuration].
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// Why the answer is not yes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer, or none in time.
    #[error("no {service} answers at {at}")]
    Silent {
        /// Who was asked.
        service: &'static str,
        /// Where.
        at: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// Something else is there.
    #[error(
        "at {at} answers {found} and no {service}; name its port with --port, the process logs it at its start"
    )]
    Other {
        /// Who was asked.
        service: &'static str,
        /// Where.
        at: SocketAddr,
        /// Who answered.
        found: String,
    },
    /// Not alive.
    #[error("the {service} at {at} is stuck in: {}", stages.join(", "))]
    Stuck {
        /// Who was asked.
        service: &'static str,
        /// Where.
        at: SocketAddr,
        /// Stages that neither turn nor rest.
        stages: Vec<String>,
    },
    /// Not ready.
    #[error("the {service} at {at} is not ready, it waits for: {}", missing.join(", "))]
    Unready {
        /// Who was asked.
        service: &'static str,
        /// Where.
        at: SocketAddr,
        /// What is not there.
        missing: Vec<String>,
    },
}

impl Ask {
    /// As settings.
    pub fn flags(&self, flags: &mut Flags) {
        flags.set("health.port", "--port", self.port);
    }

    /// Asks, and prints a positive answer on standard output.
    pub async fn execute(self, config: &config::Health, service: Service) -> anyhow::Result<Exit> {
        if !config.enabled {
            let line = "health.enabled is false, so nobody answers; set it to true";
            return Err(Problem::new(line).into());
        }
        let at = SocketAddr::new(reachable(config.address), config.port.unwrap_or(service.port()));
        let name = service.name();
        let asked = tokio::time::timeout(PATIENCE, get(at, if self.ready { "/readyz" } else { "/healthz" }));
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let text = asked.await.map_err(late).flatten();
        let text = text.map_err(|source| Error::Silent { service: name, at, source })?;
        judge(name, at, &text)?;
        print_line(format_args!("the {name} at {at} is {}", if self.ready { "ready" } else { "alive" }));
        Ok(Exit::Ok)
    }
}

fn judge(service: &'static str, at: SocketAddr, text: &str) -> Result<(), Error> {
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let found = match serde_json::from_str::<Answer>(body) {
        Ok(Answer { service: found, stuck, missing }) if found == service => {
            return match (stuck, missing) {
                (stages, _) if !stages.is_empty() => Err(Error::Stuck { service, at, stages }),
                (_, missing) if !missing.is_empty() => Err(Error::Unready { service, at, missing }),
                _ => Ok(()),
            };
        }
        Ok(answer) => format!("a {}", answer.service),
        Err(_) => "something else".to_owned(),
    };
    Err(Error::Other { service, at, found })
}

/// HTTP/1.0, in which an answer ends with its connection: all that one question needs.
async fn get(at: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text).await?;
    Ok(text)
}

/// Who listens on every address is asked on this machine's own.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
