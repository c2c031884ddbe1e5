//! When rows were committed: a time enters, that of the first commit after it leaves.

use std::time::Duration;

use chrono::{DateTime, Utc};
use common::{Classify as _, ErrorClass};
use secrecy::SecretString;
use sqlx::PgConnection;

use crate::connect::Database;
use crate::error::Error;
use crate::sqlstate;

/// How long an answer may take: a database that is stopped gives none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Selects commits that brought new rows.
#[derive(Clone, Copy, Debug)]
pub struct CommitFilter<'a> {
    /// Only commits after this time, by the clock of the database.
    pub since: DateTime<Utc>,
    /// Only commits of this replica.
    pub replica: Option<&'a str>,
    /// Only commits whose rows were also fetched after `since`.
    pub fetched_since: bool,
}

/// Reads from a database that may go away and come back.
#[derive(Debug)]
pub struct Commits {
    database: Database,
    session: Option<PgConnection>,
}

impl Commits {
    /// Of this database; nothing connects yet.
    pub fn at(url: &SecretString) -> Result<Self, Error> {
        Ok(Self { database: Database::at(url)?, session: None })
    }

    /// When the first of these was committed: `None` where there is none yet, and while the database is
    /// away.
    pub async fn first(&mut self, filter: CommitFilter<'_>) -> Result<Option<DateTime<Utc>>, Error> {
        let asked = sqlx::query_scalar(include_str!("../../sql/first_commit.sql"))
            .bind(filter.since)
            .bind(filter.replica)
            .bind(filter.fetched_since);
        Ok(self.ask(async |session| asked.fetch_one(session).await).await?.flatten())
    }

    /// How many files are not closed; `None` while the database is away.
    pub async fn open_files(&mut self) -> Result<Option<i64>, Error> {
        let asked = sqlx::query_scalar(include_str!("../../sql/open_files.sql"));
        self.ask(async |session| asked.fetch_one(session).await).await
    }

    /// The answer, unless the database is away.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<Option<T>, Error> {
        // It is back only when its question has been answered.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => match self.database.connect().await {
                Ok(session) => session,
                Err(error) if error.class() == ErrorClass::Transient => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, question(&mut session)).await {
            Err(_late) => Ok(None),
            Ok(Err(error)) if sqlstate::classify(&error) == ErrorClass::Transient => Ok(None),
            Ok(Err(error)) => Err(Error::of("read when batches were committed")(error)),
            Ok(Ok(answer)) => {
                self.session = Some(session);
                Ok(Some(answer))
            }
        }
    }
}
