//! A connection to the database with the settings that the promises need.

use std::sync::Arc;
use std::time::Duration;

use common::{Backoff, Classify, Outage, Shutdown, config, retry};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection};

use crate::error::Error;
use crate::rollback::LastCommit;

/// The oldest major version of PostgreSQL that Millrace works with.
const OLDEST: u32 = 14;

/// Connects once, within `database.answer_timeout`: for commands that only look.
pub async fn check_reachable(config: &config::Database) -> Result<(), Error> {
    Database::of(config)?.connect().await.map(drop)
}

/// The address of a database, its outage, and the last batch that was committed there. Clones share both.
#[derive(Clone, Debug)]
pub struct Database {
    options: PgConnectOptions,
    address: String,
    /// How long one attempt may take: a host that drops packets would hold it for minutes.
    pub answer_timeout: Duration,
    pub outage: Arc<Outage>,
    /// Each new session of a writer checks that this batch is still there.
    pub last_commit: Arc<LastCommit>,
}

impl Database {
    pub fn of(config: &config::Database) -> Result<Self, Error> {
        let database = Self::at(config.url.as_ref().ok_or(Error::NoUrl)?)?;
        Ok(Self { answer_timeout: config.answer_timeout, ..database })
    }

    pub fn at(url: &SecretString) -> Result<Self, Error> {
        let options: PgConnectOptions = url.expose_secret().parse().map_err(|_| Error::BadUrl)?;
        let database = options.get_database().unwrap_or(options.get_username());
        let address = format!("{}:{}/{database}", options.get_host(), options.get_port());
        let options = options.application_name("millrace consumer").disable_statement_logging();
        let answer_timeout = config::Database::default().answer_timeout;
        let outage = Arc::new(Outage::new("PostgreSQL"));
        Ok(Self { options, address, answer_timeout, outage, last_commit: Arc::default() })
    }

    /// Makes one attempt.
    pub async fn connect(&self) -> Result<PgConnection, Error> {
        let attempt = async {
            let mut connection = self.options.connect().await?;
            connection.execute(include_str!("../../sql/session.sql")).await?;
            Ok(connection)
        };
        let connection = self.in_time(attempt).await?;
        let found = connection.server_version_num().map_or(0, |number| number / 10_000);
        if found < OLDEST {
            return Err(Error::ServerTooOld { found, oldest: OLDEST, address: self.address.clone() });
        }
        Ok(connection)
    }

    /// Waits no longer than `answer_timeout` for what a server that can be reached answers at once.
    pub async fn in_time<T>(&self, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let answer = tokio::time::timeout(self.answer_timeout, asked).await.map_err(late).flatten();
        answer.map_err(|source| Error::Connect { address: self.address.clone(), source })
    }

    /// Repeats `attempt` until it succeeds, its error is not transient, or `shutdown` drains.
    pub async fn retry<T, E: Classify + From<Error>, A: Future<Output = Result<T, E>>>(
        &self,
        shutdown: &Shutdown,
        attempt: impl FnMut() -> A,
    ) -> Result<T, E> {
        let backoff = Backoff::new(std::process::id().into());
        let done = retry::until_ok(&self.outage, backoff, shutdown.draining(), attempt).await?;
        done.ok_or_else(|| Error::Stopped { address: self.address.clone() }.into())
    }
}
