//! The one error of this crate.

use common::{Classify, ErrorClass};
use sqlx::migrate::MigrateError;

use crate::sqlstate;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "database.url is not set; set DATABASE_URL to postgres://user:password@host:port/database, or use `millrace up`"
    )]
    NoUrl,
    /// The configuration refuses such a URL before.
    #[error("database.url is not a PostgreSQL URL; write postgres://user:password@host:port/database")]
    BadUrl,
    /// The server does not answer, or refuses the connection. `address` is host, port and database.
    #[error("failed to connect to PostgreSQL at {address}")]
    Connect { address: String, source: sqlx::Error },
    #[error("PostgreSQL {found} at {address} is too old; Millrace needs {oldest} or newer")]
    ServerTooOld { found: u32, oldest: u32, address: String },
    /// The process was asked to stop before there was a connection.
    #[error("stopped before PostgreSQL at {address} answered")]
    Stopped { address: String },
    /// `found` is the newest migration that was applied; 0 where there is none.
    #[error(
        "the schema of the database is at version {found}, this build needs {needed}: run `consumer migrate`"
    )]
    SchemaTooOld { found: i64, needed: i64 },
    /// A migration failed; the database is as it was before it.
    #[error("failed to migrate the database")]
    Migrate(#[source] MigrateError),
    #[error("another `millrace heal` is running on this database; wait until it has ended")]
    AlreadyHealing,
    /// A query failed; `doing` says what it was for.
    #[error("failed to {doing}")]
    Query { doing: &'static str, source: sqlx::Error },
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Connect { source, .. } | Self::Query { source, .. } => sqlstate::classify(source),
            _ => ErrorClass::Stop,
        }
    }
}

impl Error {
    /// For `map_err`: makes an error of what PostgreSQL or sqlx returned.
    pub(crate) fn of(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Query { doing, source }
    }
}
