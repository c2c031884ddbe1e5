//! Rejected rows, for people who mend them: which there are, and what closed them.
//!
//! Everything here reads. A rejected row is closed by the row that takes its place, in that row's own transaction.

mod row;

use common::event::Reason;
use secrecy::SecretString;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection};

use crate::connect::{self, Database};
use crate::migrate;
pub use row::{ByFile, ByReason, File, Reject};

/// Rows that are asked for at a time.
const PAGE: i64 = 1_000;

/// Why rejected rows cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No database.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// Its tables are older than this build, or not there.
    #[error(transparent)]
    Schema(#[from] migrate::Error),
    /// It does not answer.
    #[error("failed to read the rejected rows")]
    Read(#[from] sqlx::Error),
}

/// Which rejected rows are meant; all open ones by default.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those of these files.
    pub files: Option<Vec<i64>>,
    /// Those of this reason.
    pub reason: Option<Reason>,
    /// Also those in whose place another row has come.
    pub with_closed: bool,
}

/// The rejected rows in one database.
#[derive(Debug)]
pub struct Rejects(PgConnection);

impl Rejects {
    /// Connects, and sees that the tables are there.
    pub async fn connect(url: &SecretString) -> Result<Self, Error> {
        let mut connection = Database::at(url)?.connect().await?;
        migrate::check(&mut connection).await?;
        Ok(Self(connection))
    }

    /// How many there are for each reason, the most frequent first.
    pub async fn by_reason(&mut self, filter: &Filter) -> Result<Vec<ByReason>, Error> {
        self.all(include_str!("../../../sql/rejects_by_reason.sql"), filter).await
    }

    /// How many there are in each file.
    pub async fn by_file(&mut self, filter: &Filter) -> Result<Vec<ByFile>, Error> {
        self.all(include_str!("../../../sql/rejects_by_file.sql"), filter).await
    }

    /// The first ones, `limit` at most, file by file.
    pub async fn first(&mut self, filter: &Filter, limit: i64) -> Result<Vec<Reject>, Error> {
        let statement = include_str!("../../../sql/rejects.sql");
        let rows = sqlx::query_as(statement)
            .bind(filter.files.as_deref())
            .bind(filter.reason.map(Reason::as_str))
            .bind(filter.with_closed)
            .bind(limit);
        Ok(rows.fetch_all(&mut self.0).await?)
    }

    /// Those of one file behind its row `after`, in its order; some at a time, and none when there are no more.
    pub async fn of_file(&mut self, filter: &Filter, file: i64, after: i64) -> Result<Vec<Reject>, Error> {
        let statement = include_str!("../../../sql/rejects_of_file.sql");
        let rows = sqlx::query_as(statement)
            .bind(file)
            .bind(after)
            .bind(filter.reason.map(Reason::as_str))
            .bind(filter.with_closed)
            .bind(PAGE);
        Ok(rows.fetch_all(&mut self.0).await?)
    }

    /// The files that somebody means by a path, the end of one, or an id.
    pub async fn files_named(&mut self, name: &str) -> Result<Vec<File>, Error> {
        let files = sqlx::query_as(include_str!("../../../sql/files_named.sql")).bind(name);
        Ok(files.fetch_all(&mut self.0).await?)
    }

    /// How many rejected rows the rows of `file` have taken the place of.
    pub async fn closed_by(&mut self, file: i64) -> Result<i64, Error> {
        let count = sqlx::query_scalar(include_str!("../../../sql/count_replaced.sql")).bind(file);
        Ok(count.fetch_one(&mut self.0).await?)
    }

    async fn all<T>(&mut self, statement: &'static str, filter: &Filter) -> Result<Vec<T>, Error>
    where
        T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let rows = sqlx::query_as(statement)
            .bind(filter.files.as_deref())
            .bind(filter.reason.map(Reason::as_str))
            .bind(filter.with_closed);
        Ok(rows.fetch_all(&mut self.0).await?)
    }
}
