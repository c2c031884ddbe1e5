//! When rows were committed, for those who wait for it from another process. A moment enters, that of the
//! first commit behind it leaves.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgConnection;

use crate::connect::{self, Database};
use crate::verdict::{self, Verdict};

/// How long an answer may take: a database that stands still gives none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nobody can tell.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// It answers, and refuses.
    #[error("failed to read when batches were committed")]
    Read(#[source] sqlx::Error),
}

/// The commits that are asked for: those that brought new rows.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Only those after this moment, by the database's clock.
    pub since: DateTime<Utc>,
    /// Only those of this replica.
    pub replica: Option<&'a str>,
    /// Only those whose rows were also taken off the stream after `since`.
    pub fetched_since: bool,
}

/// Looks at the batches of a database that may go away and come back.
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

    /// When the first of `wanted` was committed: `None` where there is none yet, and while the database is
    /// away.
    pub async fn first(&mut self, wanted: Wanted<'_>) -> Result<Option<DateTime<Utc>>, Error> {
        let asked = sqlx::query_scalar(include_str!("../../sql/first_commit.sql"))
            .bind(wanted.since)
            .bind(wanted.replica)
            .bind(wanted.fetched_since);
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
                Err(error) if error.verdict() == Verdict::Retry => return Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        match tokio::time::timeout(PATIENCE, question(&mut session)).await {
            Err(_late) => Ok(None),
            Ok(Err(error)) if verdict::of(&error) == Verdict::Retry => Ok(None),
            Ok(Err(error)) => Err(Error::Read(error)),
            Ok(Ok(answer)) => {
                self.session = Some(session);
                Ok(Some(answer))
            }
        }
    }
}
