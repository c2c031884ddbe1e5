//! The broker and the database of a command: those that the configuration names; else those of a running
//! `millrace up` in the same data directory; else private ones, for as long as the command runs.

use std::future::Future;

use common::config::{Config, Problem};
use common::{Exit, nats, secrets};
use producer::Positions;
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

/// Refuses a data directory without the private services that a command would look at: it would make new ones, to
/// find nothing in them.
pub(crate) fn refuse_empty(config: &Config, needed: Services) -> anyhow::Result<()> {
    let missing = missing(config);
    let private =
        Services { nats: needed.nats && missing.nats, postgres: needed.postgres && missing.postgres };
    anyhow::ensure!(
        sandbox::holds(&config.data_dir, private),
        "there is nothing in {} yet: run `millrace up`, name another directory with --data-dir, or set NATS_URL and \
         DATABASE_URL",
        config.data_dir.display()
    );
    Ok(())
}

/// Whether services answer, asked once, each within the time that the configuration gives it: who only looks does not
/// wait until they are back.
pub(crate) async fn reach(config: &Config, needed: Services) -> anyhow::Result<()> {
    let nats = async {
        if needed.nats {
            nats::reach(&config.nats, "millrace").await?;
        }
        anyhow::Ok(())
    };
    let database = async {
        if needed.postgres {
            ledger::check_reachable(&config.database).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(nats, database).map(|_| ())
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
pub(crate) async fn forget(config: &Config) -> anyhow::Result<()> {
    let services = missing(config);
    if !(services.nats && services.postgres) {
        let named = if services.nats { "DATABASE_URL" } else { "NATS_URL" };
        anyhow::bail!(Problem::new(format!(
            "--fresh empties private services only, but {named} names another one; unset it, or leave --fresh out"
        )));
    }
    // Nothing is deleted unless all of it can be.
    let positions = Positions::take(&config.checkpoint_dir()).await?;
    sandbox::remove(&options(config))?;
    Ok(positions.forget()?)
}

fn enter(config: &mut Config, endpoints: &Endpoints) {
    [&endpoints.nats_url, &endpoints.database_url].into_iter().flatten().for_each(secrets::keep_url);
    if config.nats.url.is_none() {
        config.nats.url.clone_from(&endpoints.nats_url);
    }
    if config.database.url.is_none() {
        config.database.url.clone_from(&endpoints.database_url);
    }
}
