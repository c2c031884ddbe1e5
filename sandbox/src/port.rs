//! Free loopback ports. A service keeps its port over restarts while nobody else took it, so that clients find it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::Error;
use crate::error::failed;

const ATTEMPTS: u32 = 5;

/// Launches a service on the port that `memory` remembers, else on a free one; on another where somebody takes it in
/// that moment.
pub(crate) fn launch<T>(memory: &Path, on: impl Fn(u16) -> Result<T, Error>) -> Result<T, Error> {
    let last: Option<u16> = fs::read_to_string(memory).ok().and_then(|text| text.trim().parse().ok());
    let mut port = match last.filter(|port| bind(*port).is_ok()) {
        Some(port) => port,
        None => another(memory)?,
    };
    for _ in 1..ATTEMPTS {
        match on(port) {
            Err(error) if error.is_port_taken() => port = another(memory)?,
            launched => return launched,
        }
    }
    on(port)
}

/// A free port, remembered from now on.
fn another(memory: &Path) -> Result<u16, Error> {
    let port = free()?;
    fs::write(memory, format!("{port}\n")).map_err(failed("write", memory))?;
    Ok(port)
}

pub(crate) fn free() -> Result<u16, Error> {
    bind(0).map_err(failed("find a free port on", "127.0.0.1"))
}

fn bind(port: u16) -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tempfile::tempdir;

    use super::*;

    #[test]
    fn a_port_taken_between_choice_and_start_gives_way() {
        let dir = tempdir().unwrap();
        let attempts = Cell::new(0);
        let launched = launch(&dir.path().join("port"), |port| {
            attempts.set(attempts.get() + 1);
            if attempts.get() > 2 {
                return Ok(port);
            }
            let tail = r#"[FTL] Error listening on port: 127.0.0.1:45999, "bind: address already in use""#
                .to_owned();
            Err(Error::Ended {
                service: "nats-server",
                status: "exit status 1".to_owned(),
                log: "log".into(),
                tail,
            })
        });
        assert_eq!(attempts.get(), 3);
        let remembered = fs::read_to_string(dir.path().join("port")).unwrap();
        assert_eq!(launched.unwrap().to_string(), remembered.trim());
    }
}
