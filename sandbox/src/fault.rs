//! Faults, for those who want to see what survives them: a server is killed, and started again where it was.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::aside::aside;
use crate::cluster::{Cluster, remove_dir};
use crate::guard::Guard;
use crate::log::Held;
use crate::progress::Progress;
use crate::{Error, Frozen, Nats, Postgres, Sandbox, nats, postgres};

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The nats-server.
    Nats,
    /// The PostgreSQL.
    Postgres,
}

impl Sandbox {
    /// Ends a server as a crash does, with SIGKILL, and waits until it is gone. Of PostgreSQL that is the
    /// process which starts the others; they notice and end by themselves. One that is not running stays so.
    pub async fn kill(&mut self, server: Server) -> Result<(), Error> {
        let guard = match server {
            Server::Nats => self.nats.take().map(|nats| nats.guard),
            Server::Postgres => self.postgres.take().map(|postgres| postgres.guard),
        };
        match guard {
            Some(guard) => aside(move || guard.kill()).await,
            None => Ok(()),
        }
    }

    /// Starts a server again that was killed or has ended, and returns when it answers. It has the same
    /// address as before: another program may have taken its port meanwhile, which is an error, since clients
    /// know no other one.
    pub async fn restart(&mut self, server: Server) -> Result<(), Error> {
        let (options, dir) = (self.options.clone(), self.ownership.dir().to_owned());
        match server {
            Server::Nats => {
                drop(self.nats.take());
                let nats = aside(move || Nats::open(&options, &dir, None, &Progress::default())).await?;
                is_same(nats::NAME, self.endpoints.nats_url.as_ref(), &nats.url())?;
                self.nats = Some(nats);
            }
            Server::Postgres => {
                drop(self.postgres.take());
                let postgres =
                    aside(move || Postgres::open(&options, &dir, None, &Progress::default())).await?;
                is_same(postgres::NAME, self.endpoints.database_url.as_ref(), &postgres.url())?;
                self.postgres = Some(postgres);
            }
        }
        self.announce()
    }

    /// Ends the nats-server with SIGKILL and deletes its store, as a lost disk does. `restart` starts it on
    /// an empty one.
    pub async fn remove_store(&mut self) -> Result<(), Error> {
        self.kill(Server::Nats).await?;
        let store = self.ownership.dir().join(nats::STORE);
        aside(move || remove_dir(&store)).await
    }

    /// Copies the cluster beside it, with the files of a PostgreSQL that does not run: after `kill`.
    /// An older copy is replaced.
    pub async fn copy_cluster(&self) -> Result<(), Error> {
        let dir = self.ownership.dir().to_owned();
        aside(move || {
            let _ended = ended(&dir)?;
            Cluster::of(&dir)?.copy_beside()
        })
        .await
    }

    /// Puts the copy of [`Sandbox::copy_cluster`] in the place of the cluster, which is deleted, as a restore
    /// from a backup does. PostgreSQL must not run.
    pub async fn put_back_cluster(&self) -> Result<(), Error> {
        let dir = self.ownership.dir().to_owned();
        aside(move || {
            let _ended = ended(&dir)?;
            Cluster::of(&dir)?.put_back()
        })
        .await
    }

    /// Stops a server where it is, with its children (SIGSTOP), until what this gives is dropped.
    pub async fn freeze(&self, server: Server) -> Result<Frozen, Error> {
        let pid = match server {
            Server::Nats => self.nats.as_ref().map(|nats| nats.guard.pid()),
            Server::Postgres => self.postgres.as_ref().map(|postgres| postgres.guard.pid()),
        };
        Frozen::freeze(pid.into_iter().collect()).await
    }

    /// How a server that nobody has killed or stopped has ended, if it has.
    pub fn has_ended(&self, server: Server) -> Option<Error> {
        let of = |guard: &Guard| guard.has_ended().map(|status| guard.report(status));
        match server {
            Server::Nats => self.nats.as_ref().and_then(|nats| of(&nats.guard)),
            Server::Postgres => self.postgres.as_ref().and_then(|postgres| of(&postgres.guard)),
        }
    }
}

/// Waits until the last process of a killed PostgreSQL is gone: each holds the lock on its log.
fn ended(dir: &Path) -> Result<Held, Error> {
    Held::take(postgres::NAME, dir.join("postgres.log"))
}

fn is_same(service: &'static str, before: Option<&SecretString>, now: &SecretString) -> Result<(), Error> {
    match before {
        Some(before) if before.expose_secret() != now.expose_secret() => Err(Error::PortLost { service }),
        _ => Ok(()),
    }
}
