//! A connection to the database with the settings that the promises need.

use std::sync::Arc;
use std::time::Duration;

use common::{Outage, Shutdown, config};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection};

use crate::backoff::Backoff;
use crate::going_back::LastCommit;
use crate::verdict::{self, Verdict};

/// The oldest PostgreSQL that will do.
const OLDEST: u32 = 14;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No URL.
    #[error(
        "database.url is not set; set DATABASE_URL to postgres://user:password@host:port/database, or use `millrace up`"
    )]
    NoUrl,
    /// Not a URL; configuration refuses it before.
    #[error("database.url is not a PostgreSQL URL; write postgres://user:password@host:port/database")]
    BadUrl,
    /// It does not answer, or refuses us.
    #[error("failed to connect to PostgreSQL at {address}")]
    Refused {
        /// Host, port and database.
        address: String,
        /// What it says.
        #[source]
        source: sqlx::Error,
    },
    /// Too old.
    #[error("PostgreSQL {found} at {address} is too old; Millrace needs {OLDEST} or newer")]
    TooOld {
        /// Its major version.
        found: u32,
        /// Host, port and database.
        address: String,
    },
    /// Asked to stop before it stood.
    #[error("stopped before PostgreSQL at {address} answered")]
    Stopped {
        /// Host, port and database.
        address: String,
    },
}

/// Whether the database answers, asked once and within `database.answer_timeout`, for a command that only looks.
pub async fn reach(config: &config::Database) -> Result<(), Error> {
    Database::of(config)?.connect().await.map(drop)
}

impl Error {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Refused { source, .. } => verdict::of(source),
            _ => Verdict::Stop,
        }
    }
}

/// Where the database is, whether it is in trouble, and what it committed last. Clones share both.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    options: PgConnectOptions,
    address: String,
    /// How long one try may take: a host that swallows packets would hold it for minutes.
    pub(crate) answer_timeout: Duration,
    pub(crate) outage: Arc<Outage>,
    /// What each new session of a writer has to know of.
    pub(crate) last_commit: Arc<LastCommit>,
}

impl Database {
    pub(crate) fn of(config: &config::Database) -> Result<Self, Error> {
        let database = Self::at(config.url.as_ref().ok_or(Error::NoUrl)?)?;
        Ok(Self { answer_timeout: config.answer_timeout, ..database })
    }

    pub(crate) fn at(url: &SecretString) -> Result<Self, Error> {
        let options: PgConnectOptions = url.expose_secret().parse().map_err(|_| Error::BadUrl)?;
        let database = options.get_database().unwrap_or(options.get_username());
        let address = format!("{}:{}/{database}", options.get_host(), options.get_port());
        let options = options.application_name("millrace consumer").disable_statement_logging();
        let answer_timeout = config::Database::default().answer_timeout;
        let outage = Arc::new(Outage::new("PostgreSQL"));
        Ok(Self { options, address, answer_timeout, outage, last_commit: Arc::default() })
    }

    /// Tries once.
    pub(crate) async fn connect(&self) -> Result<PgConnection, Error> {
        let attempt = async {
            let mut connection = self.options.connect().await?;
            connection.execute(include_str!("../../sql/session.sql")).await?;
            Ok(connection)
        };
        let connection = self.in_time(attempt).await?;
        let found = connection.server_version_num().map_or(0, |number| number / 10_000);
        if found < OLDEST {
            return Err(Error::TooOld { found, address: self.address.clone() });
        }
        Ok(connection)
    }

    /// Waits for something that the server answers at once where it can be reached.
    pub(crate) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let answer = tokio::time::timeout(self.answer_timeout, asked).await.map_err(late).flatten();
        answer.map_err(|source| Error::Refused { address: self.address.clone(), source })
    }

    /// Tries `attempt` until it succeeds, unless what is wrong needs a person or `shutdown` drains.
    pub(crate) async fn retry<T, E: std::error::Error + From<Error> + 'static, A>(
        &self,
        shutdown: &Shutdown,
        verdict: impl Fn(&E) -> Verdict,
        mut attempt: impl FnMut() -> A,
    ) -> Result<T, E>
    where
        A: Future<Output = Result<T, E>>,
    {
        let mut backoff = Backoff::new(std::process::id().into());
        loop {
            let error = match attempt().await {
                Ok(done) => {
                    self.outage.succeeded();
                    return Ok(done);
                }
                Err(error) => error,
            };
            if verdict(&error) != Verdict::Retry {
                return Err(error);
            }
            self.outage.failed(&error);
            if !backoff.wait(shutdown.draining()).await {
                return Err(Error::Stopped { address: self.address.clone() }.into());
            }
        }
    }
}
