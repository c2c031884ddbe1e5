//! The broker and the database of a command: those that the configuration names; else those of a running
//! `millrace up` in the same data directory; else private ones, for as long as the command runs.

use std::future::Future;

use common::Exit;
use common::config::{Config, Problem};
use sandbox::{Endpoints, Sandbox, Services};

/// Where private services keep what they need.
pub(crate) fn options(config: &Config) -> sandbox::Options {
    let mut options = sandbox::Options::new(&config.data_dir);
    options.nats_server.clone_from(&config.sandbox.nats_server);
    options.postgres_bin.clone_from(&config.sandbox.postgres_bin);
    options.cache_dir.clone_from(&config.sandbox.cache_dir);
    options
}

/// Which services the configuration leaves to us.
pub(crate) fn missing(config: &Config) -> Services {
    Services { nats: config.nats.url.is_none(), postgres: config.database.url.is_none() }
}

/// Starts what is needed and the configuration leaves to us, and enters its URLs.
pub(crate) async fn start(config: &mut Config, needed: Services) -> Result<Option<Sandbox>, sandbox::Error> {
    let missing = missing(config);
    let services =
        Services { nats: needed.nats && missing.nats, postgres: needed.postgres && missing.postgres };
    if !services.nats && !services.postgres {
        return Ok(None);
    }
    let sandbox = Sandbox::start(&options(config), services).await?;
    enter(config, sandbox.endpoints());
    Ok(Some(sandbox))
}

/// As [`start`], unless services of a running process are there already.
pub(crate) async fn provide(
    config: &mut Config,
    needed: Services,
) -> Result<Option<Sandbox>, sandbox::Error> {
    if let Some(running) = sandbox::attach(&config.data_dir)? {
        enter(config, &running);
    }
    start(config, needed).await
}

/// Runs `command`, then stops the services that were started for it.
pub(crate) async fn end_with(
    own: Option<Sandbox>,
    command: impl Future<Output = anyhow::Result<Exit>>,
) -> anyhow::Result<Exit> {
    let result = Box::pin(command).await;
    if let Some(own) = own {
        own.stop().await?;
    }
    result
}

/// Forgets private services and positions. Never a user's file, and never anything of services of others.
pub(crate) fn forget(config: &Config) -> anyhow::Result<()> {
    let services = missing(config);
    if !(services.nats && services.postgres) {
        let named = if services.nats { "DATABASE_URL" } else { "NATS_URL" };
        anyhow::bail!(Problem::new(format!(
            "--fresh empties private services only, but {named} names another one; unset it, or leave --fresh out"
        )));
    }
    sandbox::remove(&options(config))?;
    let checkpoints = config.checkpoint_dir();
    match std::fs::remove_dir_all(&checkpoints) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(anyhow::Error::new(error).context(format!("failed to remove {}", checkpoints.display())))
        }
        _ => Ok(()),
    }
}

fn enter(config: &mut Config, endpoints: &Endpoints) {
    if config.nats.url.is_none() {
        config.nats.url.clone_from(&endpoints.nats_url);
    }
    if config.database.url.is_none() {
        config.database.url.clone_from(&endpoints.database_url);
    }
}
