//! Options enter; a sandbox with its services side by side leaves.

use std::fs::{self, Permissions};
use std::future::pending;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rustix::process::geteuid;

use crate::aside::aside;
use crate::error::failed;
use crate::guard::Guard;
use crate::progress::Progress;
use crate::state::{self, Ownership, Running, Service};
use crate::{Endpoints, Error, Nats, Options, Postgres, Services, password};

/// The running services of one data directory, which this process owns.
///
/// Dropping it ends them quickly; they recover at the next start.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) options: Options,
    pub(crate) nats: Option<Nats>,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) endpoints: Endpoints,
    // The last field, so that the services have ended before somebody else can own the directory.
    pub(crate) ownership: Ownership,
}

impl Sandbox {
    /// Starts the services in the data directory, on top of what earlier ones left there.
    ///
    /// Returns when both answer. Fails where another process runs services in this data directory.
    pub async fn start(options: &Options, services: Services) -> Result<Self, Error> {
        let dir = prepare(options)?;
        let ownership = aside({
            let dir = dir.clone();
            move || Ownership::take(&dir)
        })
        .await?;
        password::of(&dir)?;
        let progress = Progress::default();
        let (nats, postgres) = tokio::join!(
            optionally(services.nats, {
                let (options, dir, progress) = (options.clone(), dir.clone(), progress.clone());
                move || Nats::open(&options, &dir, None, &progress)
            }),
            optionally(services.postgres, {
                let (options, dir) = (options.clone(), dir.clone());
                move || Postgres::open(&options, &dir, None, &progress)
            }),
        );
        let (nats, postgres) = (nats?, postgres?);
        let endpoints = Endpoints {
            nats_url: nats.as_ref().map(Nats::url),
            database_url: postgres.as_ref().map(Postgres::url),
        };
        let sandbox = Self { options: options.clone(), nats, postgres, endpoints, ownership };
        sandbox.announce()?;
        Ok(sandbox)
    }

    /// Tells other processes what runs.
    pub(crate) fn announce(&self) -> Result<(), Error> {
        let (nats, postgres) = (self.nats.as_ref(), self.postgres.as_ref());
        self.ownership.announce(&Running {
            password: password::file(self.ownership.dir()),
            nats: nats.map(|nats| Service { port: nats.port(), pid: nats.pid() }),
            postgres: postgres.map(|postgres| Service { port: postgres.port(), pid: postgres.pid() }),
            postgres_bin: postgres.map(|postgres| postgres.bin().to_owned()),
        })
    }

    /// Where clients connect.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Completes when a service ends by itself: names it, its exit status, and its log with the last lines.
    ///
    /// Cancel safe.
    pub async fn ended(&mut self) -> Error {
        tokio::select! {
            error = ended(self.nats.as_ref().map(|nats| &nats.guard)) => error,
            error = ended(self.postgres.as_ref().map(|postgres| &postgres.guard)) => error,
        }
    }

    /// Stops both services in good order, side by side, and waits for it.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { nats, postgres, ownership, .. } = self;
        let (nats, postgres) =
            tokio::join!(stop(nats.map(|nats| nats.guard)), stop(postgres.map(|postgres| postgres.guard)));
        ownership.withdraw()?;
        nats.and(postgres)
    }
}

/// The state directory: as root others may pass through it, because the database inside runs as another user.
fn prepare(options: &Options) -> Result<PathBuf, Error> {
    let dir = state::directory(&options.data_dir);
    fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
    let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
    fs::set_permissions(&dir, Permissions::from_mode(mode)).map_err(failed("protect", &dir))?;
    fs::canonicalize(&dir).map_err(failed("find", dir))
}

async fn optionally<T, F>(wanted: bool, open: F) -> Result<Option<T>, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    if wanted { aside(open).await.map(Some) } else { Ok(None) }
}

async fn stop(guard: Option<Guard>) -> Result<(), Error> {
    match guard {
        Some(mut guard) => aside(move || guard.stop()).await,
        None => Ok(()),
    }
}

async fn ended(guard: Option<&Guard>) -> Error {
    match guard {
        Some(guard) => guard.ended().await,
        None => pending().await,
    }
}
