//! Answers `/healthz` and `/readyz` on one port a process: 200 for yes, 503 for no, with the reason.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{Health, Service};
use crate::config;

/// How many ports are tried before a process goes without one.
const PORTS: u16 = 64;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not this machine's, or the port not allowed.
    #[error("failed to listen on {0} as health.address and health.port say")]
    Listen(SocketAddr, #[source] io::Error),
}

/// A server at work; dropping it ends it.
#[derive(Debug)]
#[must_use = "answering ends when this is dropped"]
pub struct Serving {
    /// Where it listens.
    pub at: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

/// What is answered: the lists are empty for yes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) service: String,
    /// Stages that neither turn nor rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stuck: Vec<String>,
    /// What is needed and not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
}

/// Starts to answer, unless configuration disables it. A taken port gives way to the next free
/// one, so that any number of processes can run beside each other.
pub async fn serve(
    config: &config::Health,
    service: Service,
    health: Health,
) -> Result<Option<Serving>, Error> {
    if !config.enabled {
        return Ok(None);
    }
    let wanted = SocketAddr::new(config.address, config.port.unwrap_or(service.port()));
    let Some(listener) = listen(wanted).await? else {
        tracing::warn!(address = %wanted, tried = PORTS, "no port for health is free; requests for it are not answered");
        return Ok(None);
    };
    let at = listener.local_addr().map_err(|error| Error::Listen(wanted, error))?;
    if at.port() == wanted.port() || wanted.port() == 0 {
        tracing::info!("health is at http://{at}/healthz and /readyz");
    } else {
        tracing::info!("port {} is taken: health is at http://{at}/healthz and /readyz", wanted.port());
    }
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state((service, health));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "health is not answered any more");
        }
    });
    Ok(Some(Serving { at, _task: AbortOnDropHandle::new(task) }))
}

/// The first free port from the wanted one on; `None` where none is.
async fn listen(wanted: SocketAddr) -> Result<Option<TcpListener>, Error> {
    for port in wanted.port()..=wanted.port().saturating_add(PORTS - 1) {
        match TcpListener::bind(SocketAddr::new(wanted.ip(), port)).await {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(Error::Listen(wanted, error)),
        }
    }
    Ok(None)
}

async fn healthz(State((service, health)): State<(Service, Health)>) -> impl IntoResponse {
    answer(service, health.stuck(Instant::now()), Vec::new())
}

async fn readyz(State((service, health)): State<(Service, Health)>) -> impl IntoResponse {
    answer(service, Vec::new(), health.missing())
}

fn answer(service: Service, stuck: Vec<&str>, missing: Vec<&str>) -> impl IntoResponse + use<> {
    let is_yes = stuck.is_empty() && missing.is_empty();
    let status = if is_yes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let answer = Answer { service: service.name().to_owned(), stuck: owned(stuck), missing: owned(missing) };
    let json = serde_json::to_string(&answer).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], json)
}
