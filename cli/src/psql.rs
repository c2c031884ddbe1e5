//! `millrace psql`: psql on the configured database.

use anyhow::Context;
use common::Exit;
use common::config::Config;
use common::secrets::percent_decoded;
use sandbox::Services;
use secrecy::{ExposeSecret, SecretString};
use tokio::process::Command;
use url::Url;

use crate::services;

/// Runs psql with `arguments` and gives back how it ended.
pub(crate) async fn run(mut config: Config, arguments: &[String]) -> anyhow::Result<Exit> {
    let needed = Services { nats: false, postgres: true };
    services::refuse_empty(&config, needed)?;
    let own = services::provide(&mut config, needed).await?;
    services::end_with(own, psql(&config, arguments)).await
}

async fn psql(config: &Config, arguments: &[String]) -> anyhow::Result<Exit> {
    let program = sandbox::psql(&services::options(config)).await?;
    let url = config.database.url.as_ref().context("there is no database")?;
    let (url, password) = without_password(url)?;
    let mut command = Command::new(&program);
    // Other users of the machine can read arguments, but not the environment.
    if let Some(password) = password {
        command.env("PGPASSWORD", password.expose_secret());
    }
    if std::env::var_os("PGCONNECT_TIMEOUT").is_none() {
        // psql itself would wait for a silent host for minutes; it takes whole seconds, and 1 for 2.
        command.env("PGCONNECT_TIMEOUT", config.database.answer_timeout.as_secs().max(2).to_string());
    }
    command.arg("--dbname").arg(url.as_str()).args(arguments);
    let status = command.status().await.with_context(|| format!("failed to run {}", program.display()))?;
    Ok(if status.success() { Exit::Ok } else { Exit::Failed })
}

fn without_password(url: &SecretString) -> anyhow::Result<(Url, Option<SecretString>)> {
    let mut url = Url::parse(url.expose_secret())?;
    let password = url.password().map(|password| percent_decoded(password).into());
    let _ = url.set_password(None);
    Ok((url, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_no_argument() {
        let (url, password) =
            without_password(&"postgres://me:a%2Fb+c@host:5/db?sslmode=require".into()).unwrap();
        assert_eq!(url.as_str(), "postgres://me@host:5/db?sslmode=require");
        assert_eq!(password.unwrap().expose_secret(), "a/b+c");
    }
}
