//! The connection to the broker: retried until it is there, checked for its version, each outage logged once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation};
use async_nats::connection::State;
use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, Event, ServerAddr, ServerError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::config;
use crate::retry::Backoff;
use crate::secrets::{self, percent_decoded};
use crate::shutdown::Shutdown;

/// The oldest nats-server that will do.
pub const OLDEST: (i64, i64) = (2, 12);

/// How often a silent server is pinged. The client gives a connection up at the third ping without an answer, so that a
/// network which dropped it silently is noticed within ten seconds.
const PING: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("nats.url is not set; set NATS_URL to nats://user:password@host:4222, or use `millrace up`")]
    NoUrl,
    /// Not a URL; configuration refuses it before.
    #[error("nats.url is not a NATS URL; write nats://user:password@host:4222")]
    BadUrl(#[source] std::io::Error),
    /// The credentials file cannot be used.
    #[error("failed to read nats.credentials {path}")]
    Credentials {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("nats-server at {address} refused user or password; check nats.url")]
    Refused { address: String },
    #[error("nats-server {found} at {address} is too old; Millrace needs {}.{} or newer", OLDEST.0, OLDEST.1)]
    TooOld { found: String, address: String },
    /// For a command that only reads, and does not wait for a broker.
    #[error("nats-server at {address} does not answer within {} ({why}); check nats.url", seconds(*.waited))]
    Silent {
        address: String,
        /// The limit of `nats.connect_timeout`.
        waited: Duration,
        why: String,
    },
    /// Asked to stop before it stood.
    #[error("stopped before nats-server at {address} answered")]
    Stopped { address: String },
}

/// A connection that is made anew by itself whenever it breaks.
#[derive(Clone, Debug)]
pub struct Nats {
    /// For publishing and subscribing.
    pub client: Client,
    /// For streams.
    pub jetstream: jetstream::Context,
    /// Counts connections; a request that waits for its answer when this changes will not get one.
    pub connected: watch::Receiver<u64>,
    /// The last permission error of the server. The request itself gets no answer, only a time-out.
    pub denied: watch::Receiver<Option<String>>,
}

/// The client's callback reports here.
#[derive(Clone, Debug)]
struct Senders {
    connections: watch::Sender<u64>,
    denied: watch::Sender<Option<String>>,
}

impl Nats {
    /// Whether the connection stands at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

/// Who connects, and so where answers go: each user of `nats.conf` may read only what is sent to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// The producer.
    Producer,
    /// Any replica of the consumer.
    Consumer,
    /// A person's command.
    Operator,
}

impl User {
    /// The prefix of its inboxes. Each is within `_INBOX.>`, which an older `nats.conf` allows to everybody.
    pub fn inbox_prefix(self) -> &'static str {
        match self {
            Self::Producer => "_INBOX.producer",
            Self::Consumer => "_INBOX.consumer",
            Self::Operator => "_INBOX.operator",
        }
    }
}

/// As [`connect_as`] an operator.
pub async fn connect(config: &config::Nats, name: &str, shutdown: &Shutdown) -> Result<Nats, Error> {
    connect_as(config, User::Operator, name, shutdown).await
}

/// Connects as `name`. Where no server answers it tries again, with one log line, until one does or `shutdown` drains.
pub async fn connect_as(
    config: &config::Nats,
    user: User,
    name: &str,
    shutdown: &Shutdown,
) -> Result<Nats, Error> {
    let url = config.url.as_ref().ok_or(Error::NoUrl)?;
    let address = address(url);
    let servers = servers(url)?;
    let (senders, receivers) = Senders::new();
    let mut backoff = Backoff::of_broker();
    let mut is_logged = false;
    let client = loop {
        let options = options(config, name, &servers, senders.clone()).await?;
        let options = options.custom_inbox_prefix(user.inbox_prefix());
        let attempt = options.connect(servers.clone()).await;
        let error = match attempt {
            Ok(client) => break client,
            Err(error) => error,
        };
        if matches!(error.kind(), Authentication | AuthorizationViolation) {
            return Err(Error::Refused { address });
        }
        if !std::mem::replace(&mut is_logged, true) {
            tracing::warn!(%address, %error, "nats-server does not answer; trying again until it does");
        }
        if !backoff.wait(shutdown.draining()).await {
            return Err(Error::Stopped { address });
        }
    };
    let nats = receivers.connected_to(client, &address)?;
    if is_logged {
        tracing::info!(%address, "nats-server answers");
    }
    Ok(nats)
}

/// As [`connect`], for a command that only looks: it tries once, within `nats.connect_timeout`.
pub async fn reach(config: &config::Nats, name: &str) -> Result<Nats, Error> {
    let url = config.url.as_ref().ok_or(Error::NoUrl)?;
    let (address, servers) = (address(url), servers(url)?);
    let (senders, receivers) = Senders::new();
    let attempt = options(config, name, &servers, senders).await?.connect(servers);
    let waited = config.connect_timeout;
    let why = match tokio::time::timeout(waited, attempt).await {
        Ok(Ok(client)) => return receivers.connected_to(client, &address),
        Ok(Err(error)) if matches!(error.kind(), Authentication | AuthorizationViolation) => {
            return Err(Error::Refused { address });
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    Err(Error::Silent { address, waited, why })
}

/// The other end of [`Senders`].
struct Receivers {
    connected: watch::Receiver<u64>,
    denied: watch::Receiver<Option<String>>,
}

impl Senders {
    fn new() -> (Self, Receivers) {
        let (connections, connected) = watch::channel(0);
        let (denied_to, denied) = watch::channel(None);
        (Self { connections, denied: denied_to }, Receivers { connected, denied })
    }
}

impl Receivers {
    /// The connection of `client`, unless its server is too old.
    fn connected_to(self, client: Client, address: &str) -> Result<Nats, Error> {
        let found = client.server_info().version;
        if !new_enough(&found) {
            return Err(Error::TooOld { found, address: address.to_owned() });
        }
        let Self { connected, denied } = self;
        Ok(Nats { jetstream: jetstream::new(client.clone()), client, connected, denied })
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn servers(url: &SecretString) -> Result<Vec<ServerAddr>, Error> {
    url.expose_secret().split(',').map(|one| one.trim().parse().map_err(Error::BadUrl)).collect()
}

/// Host and port without user and password.
fn address(url: &SecretString) -> String {
    let one = |server: ServerAddr| format!("{}:{}", server.host(), server.port());
    servers(url).map_or_else(|_| "?".to_owned(), |all| all.into_iter().map(one).collect::<Vec<_>>().join(","))
}

async fn options(
    config: &config::Nats,
    name: &str,
    servers: &[ServerAddr],
    senders: Senders,
) -> Result<ConnectOptions, Error> {
    let mut options = match &config.credentials {
        None => ConnectOptions::new(),
        Some(path) => {
            let failed = |source| Error::Credentials { path: path.display().to_string(), source };
            let credentials = tokio::fs::read_to_string(path).await.map_err(failed)?;
            secrets::keep_credentials(&credentials);
            ConnectOptions::with_credentials(&credentials).map_err(failed)?
        }
    };
    // async-nats does not take them from the URL by itself.
    let user = servers.iter().find_map(|server| server.username().zip(server.password()));
    if let Some((user, password)) = user {
        options = options.user_and_password(percent_decoded(user), percent_decoded(password));
    }
    let lost = Mutex::new(None);
    let options = options
        .name(name)
        .connection_timeout(config.connect_timeout)
        .request_timeout(Some(Duration::from_secs(5)))
        .ping_interval(PING)
        .subscription_capacity(65_536)
        .reconnect_delay_callback(|attempt| {
            Duration::from_millis(50 << attempt.min(5)).min(Duration::from_secs(1))
        })
        .event_callback(move |event| {
            log(&event, &lost);
            match event {
                Event::Connected => senders.connections.send_modify(|times| *times += 1),
                Event::ServerError(ServerError::Other(error)) if is_denial(&error) => {
                    senders.denied.send_replace(Some(error));
                }
                _ => {}
            }
            std::future::ready(())
        });
    Ok(options)
}

/// One line when the connection is lost and one when it is back. A denied permission reaches the caller only as a
/// time-out, so the server's error is logged here.
fn log(event: &Event, lost: &Mutex<Option<Instant>>) {
    let mut lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Disconnected => {
            tracing::warn!("connection to nats-server lost; reconnecting");
            *lost = Some(Instant::now());
        }
        Event::Connected => {
            if let Some(at) = lost.take() {
                tracing::info!(outage_ms = at.elapsed().as_millis(), "connection to nats-server is back");
            }
        }
        Event::SlowConsumer(subscription) => tracing::warn!(subscription, "slow subscription"),
        Event::ServerError(error) => tracing::error!(%error, "nats-server refuses"),
        Event::LameDuckMode => tracing::info!("nats-server is shutting down"),
        other => tracing::debug!(event = %other, "nats"),
    }
}

fn is_denial(error: &str) -> bool {
    error.to_ascii_lowercase().starts_with("permissions violation")
}

fn new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<i64>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn versions_compare_by_number() {
        assert!(new_enough("2.12.0") && new_enough("2.15.1-beta") && new_enough("3.0.0"));
        assert!(!new_enough("2.9.10") && !new_enough("2.11.99") && !new_enough("?"));
    }
}
