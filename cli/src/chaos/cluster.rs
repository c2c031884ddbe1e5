//! All processes of a run with their services, and how each is struck and brought back.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use common::Shutdown;
use common::config::Config;
use sandbox::{Frozen, Process, Sandbox, Server, Services};

use super::file_writer::{FileWriter, Mode};
use super::network::Network;
use super::plan::{Fault, Strike, Victim};
use super::processes::{Launcher, Part, ending};

/// What runs.
#[derive(Debug)]
pub(super) struct Cluster {
    // Ended in this order: no process logs that its services are gone.
    pub(super) writer: Option<FileWriter>,
    pub(super) running: BTreeMap<Victim, Process>,
    network: Network,
    pub(super) sandbox: Sandbox,
    pub(super) launcher: Launcher,
    consumers: u16,
}

/// What was struck and is to come back.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) fault: Fault,
    /// What stands still meanwhile.
    frozen: Vec<Frozen>,
}

/// A process that ended without having been struck.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) victim: Victim,
    pub(super) how: String,
}

impl Cluster {
    /// Starts everything below `config.data_dir`, which is the directory of the run. Nobody writes files yet.
    pub(super) async fn start(config: &Config, consumers: u16, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let sandbox = Sandbox::start(&crate::services::options(config), Services::BOTH).await?;
        let mut config = config.clone();
        config.database.url.clone_from(&sandbox.endpoints().database_url);
        ledger::migrate(&config, shutdown).await?;
        let launcher = Launcher::new(&config.data_dir, sandbox.endpoints(), &config)?;
        let network = Network::start(sandbox.endpoints(), consumers).await?;
        let mut cluster =
            Self { writer: None, running: BTreeMap::new(), network, sandbox, launcher, consumers };
        for victim in cluster.replicas().chain([Victim::Producer]) {
            cluster.start_again(victim).await?;
        }
        Ok(cluster)
    }

    /// Where clients find the services.
    pub(super) fn endpoints(&self) -> &sandbox::Endpoints {
        self.sandbox.endpoints()
    }

    /// Every consumer.
    pub(super) fn replicas(&self) -> impl Iterator<Item = Victim> + use<> {
        (1..=self.consumers).map(Victim::Consumer)
    }

    /// Runs a command, or the tailer to its end.
    pub(super) async fn run(&self, part: Part) -> anyhow::Result<Process> {
        self.launcher.start(part, &self.network).await
    }

    /// Stops the services in good order.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.sandbox.stop().await?)
    }

    /// Returns when the writer of files does so.
    pub(super) async fn write(&mut self, mode: Mode) -> anyhow::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.set(mode).await,
            None => Ok(()),
        }
    }

    /// Begins a strike. To restore the database is more than one step, which are not here.
    pub(super) async fn strike(&mut self, fault: Fault) -> anyhow::Result<Struck> {
        let mut frozen = Vec::new();
        match fault.strike {
            Strike::Kill(victim) => self.kill(victim).await?,
            Strike::Stop(victim) => frozen.extend(self.freeze(victim).await?),
            Strike::Network(link, how) => self.network.disturb(link, how),
            Strike::Fill => {
                for replica in self.replicas() {
                    frozen.extend(self.freeze(replica).await?);
                }
                self.write(Mode::Flood).await?;
            }
            Strike::Store => self.sandbox.remove_store().await?,
            Strike::Restore => {}
        }
        Ok(Struck { fault, frozen })
    }

    /// Ends a strike: continues what was stopped, starts what was killed. A server also answers when this returns.
    pub(super) async fn bring_back(&mut self, struck: Struck) -> anyhow::Result<()> {
        let Struck { fault, frozen } = struck;
        for frozen in frozen {
            frozen.thaw().await;
        }
        match fault.strike {
            Strike::Kill(victim) => self.start_again(victim).await?,
            Strike::Network(link, _) => self.network.mend(link),
            Strike::Store => self.start_again(Victim::Nats).await?,
            Strike::Fill => self.write(Mode::All).await?,
            Strike::Stop(_) | Strike::Restore => {}
        }
        Ok(())
    }

    /// Ends it with SIGKILL.
    pub(super) async fn kill(&mut self, victim: Victim) -> anyhow::Result<()> {
        match (server(victim), self.running.remove(&victim)) {
            (Some(server), _) => self.sandbox.kill(server).await?,
            (None, Some(process)) => process.kill().await?,
            (None, None) => {}
        }
        Ok(())
    }

    async fn freeze(&self, victim: Victim) -> anyhow::Result<Option<Frozen>> {
        Ok(match (server(victim), self.running.get(&victim)) {
            (Some(server), _) => Some(self.sandbox.freeze(server).await?),
            (None, Some(process)) => Some(process.freeze().await?),
            (None, None) => None,
        })
    }

    /// Starts what was killed, or has ended.
    pub(super) async fn start_again(&mut self, victim: Victim) -> anyhow::Result<()> {
        if let Some(server) = server(victim) {
            self.sandbox.restart(server).await?;
        } else if let Some(part) = Part::of(victim) {
            let process = self.run(part).await?;
            self.running.insert(victim, process);
        }
        Ok(())
    }

    /// What has ended by itself; it is started again.
    pub(super) async fn revive(&mut self) -> anyhow::Result<Vec<Death>> {
        if self.writer.as_ref().is_some_and(FileWriter::has_ended)
            && let Some(writer) = self.writer.take()
        {
            writer.end(Mode::End).await?;
        }
        let servers = [Victim::Nats, Victim::Postgres].into_iter().filter_map(|victim| {
            let error = self.sandbox.has_ended(server(victim)?)?;
            Some(Death { victim, how: error.to_string() })
        });
        let processes = self
            .running
            .iter()
            .filter_map(|(&victim, process)| Some(Death { victim, how: ending(process.has_ended()?) }));
        let deaths: Vec<_> = servers.chain(processes).collect();
        for &Death { victim, .. } in &deaths {
            self.running.remove(&victim);
            self.start_again(victim).await?;
        }
        Ok(deaths)
    }

    /// The consumers that have ended, and how; they run no more.
    pub(super) fn take_ended(&mut self) -> Vec<(Victim, ExitStatus)> {
        let has_ended = |victim| Some((victim, self.running.get(&victim)?.has_ended()?));
        let ended: Vec<_> = self.replicas().filter_map(has_ended).collect();
        for (victim, _) in &ended {
            self.running.remove(victim);
        }
        ended
    }
}

fn server(victim: Victim) -> Option<Server> {
    match victim {
        Victim::Nats => Some(Server::Nats),
        Victim::Postgres => Some(Server::Postgres),
        Victim::Producer | Victim::Consumer(_) => None,
    }
}
