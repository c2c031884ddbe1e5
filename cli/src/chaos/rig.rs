//! All processes of a run, and how each is struck and brought back.

use std::collections::BTreeMap;

use common::Shutdown;
use common::config::Config;
use sandbox::{Frozen, Process, Sandbox, Server, Services};

use super::plan::{Fault, How, Victim};
use super::processes::{Launcher, Part, ending};

/// What runs.
#[derive(Debug)]
pub(super) struct Rig {
    // Ended in this order: nobody complains that its services are gone.
    pub(super) generator: Option<Process>,
    pub(super) running: BTreeMap<Victim, Process>,
    sandbox: Sandbox,
    pub(super) launcher: Launcher,
    consumers: u16,
}

/// What was struck and is to come back.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) victim: Victim,
    /// Where it was stopped only.
    frozen: Option<Frozen>,
}

/// A process that ended although nobody had struck it.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) victim: Victim,
    pub(super) how: String,
}

impl Rig {
    /// Starts everything below `config.data_dir`, which is the directory of the run.
    pub(super) async fn start(
        config: &Config,
        generator: Part,
        consumers: u16,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let sandbox = Sandbox::start(&crate::services::options(config), Services::BOTH).await?;
        let mut config = config.clone();
        config.database.url.clone_from(&sandbox.endpoints().database_url);
        consumer::migrate(&config, shutdown).await?;
        let launcher = Launcher::new(&config.data_dir, sandbox.endpoints(), &config)?;
        let mut rig = Self { generator: None, running: BTreeMap::new(), sandbox, launcher, consumers };
        for victim in rig.replicas().chain([Victim::Producer]) {
            rig.bring_back(Struck { victim, frozen: None }).await?;
        }
        rig.generator = Some(rig.launcher.start(generator).await?);
        Ok(rig)
    }

    /// Where clients find the services.
    pub(super) fn endpoints(&self) -> &sandbox::Endpoints {
        self.sandbox.endpoints()
    }

    /// Every consumer.
    pub(super) fn replicas(&self) -> impl Iterator<Item = Victim> + use<> {
        (1..=self.consumers).map(Victim::Consumer)
    }

    /// Stops the services in good order.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.sandbox.stop().await?)
    }

    /// Kills or stops one.
    pub(super) async fn strike(&mut self, fault: Fault) -> anyhow::Result<Struck> {
        let victim = fault.victim;
        let frozen = match (fault.how, server(victim)) {
            (How::Kill, Some(server)) => {
                self.sandbox.kill(server).await?;
                None
            }
            (How::Stop, Some(server)) => Some(self.sandbox.freeze(server).await?),
            (How::Kill, None) => {
                if let Some(process) = self.running.remove(&victim) {
                    process.kill().await?;
                }
                None
            }
            (How::Stop, None) => match self.running.get(&victim) {
                Some(process) => Some(process.freeze().await?),
                None => None,
            },
        };
        Ok(Struck { victim, frozen })
    }

    /// Continues what was stopped, and starts what was killed; a server also answers when this returns.
    pub(super) async fn bring_back(&mut self, struck: Struck) -> anyhow::Result<()> {
        let Struck { victim, frozen } = struck;
        if let Some(frozen) = frozen {
            frozen.thaw().await;
        } else if let Some(server) = server(victim) {
            self.sandbox.restart(server).await?;
        } else if let Some(part) = Part::of(victim) {
            let process = self.launcher.start(part).await?;
            self.running.insert(victim, process);
        }
        Ok(())
    }

    /// What has ended by itself; it is started again.
    pub(super) async fn revive(&mut self) -> anyhow::Result<Vec<Death>> {
        if let Some(status) = self.generator.as_ref().and_then(Process::has_ended) {
            anyhow::bail!("the generator ended by itself with {}; its log tells why", ending(status));
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
            self.bring_back(Struck { victim, frozen: None }).await?;
        }
        Ok(deaths)
    }
}

fn server(victim: Victim) -> Option<Server> {
    match victim {
        Victim::Nats => Some(Server::Nats),
        Victim::Postgres => Some(Server::Postgres),
        Victim::Producer | Victim::Consumer(_) => None,
    }
}
