//! A PostgreSQL of one test's own, which may be stopped without disturbing others.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use sandbox::{Options, Postgres};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

pub(crate) struct Server {
    pub(crate) url: SecretString,
    // Before the directory it lives in.
    postgres: Option<Postgres>,
    dir: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        // Others may pass through, as root's PostgreSQL runs as another user.
        let mode = Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
        let postgres = postgres_in(&dir).await;
        Self { url: postgres.url(), postgres: Some(postgres), dir }
    }

    /// Stops it in good order.
    pub(crate) async fn stop(&mut self) {
        self.postgres.take().unwrap().stop().await.unwrap();
    }

    /// Ends it at once: the next start recovers.
    pub(crate) fn crash(&mut self) {
        drop(self.postgres.take().unwrap());
    }

    /// Starts it again at the same place.
    pub(crate) async fn start_again(&mut self) {
        let postgres = postgres_in(&self.dir).await;
        let port = |url: &SecretString| url.expose_secret().to_owned();
        assert_eq!(port(&postgres.url()), port(&self.url), "somebody else took the port");
        self.postgres = Some(postgres);
    }

    /// Lets the next start be that of a standby, which is in recovery and can be read only, until it is promoted.
    pub(crate) fn becomes_standby(&self) {
        let signal = self.dir.path().join("postgres/standby.signal");
        fs::write(&signal, "").unwrap();
        fs::set_permissions(&signal, Permissions::from_mode(0o666)).unwrap();
    }
}

async fn postgres_in(dir: &TempDir) -> Postgres {
    Postgres::start(&Options::new(dir.path()), dir.path()).await.unwrap()
}
