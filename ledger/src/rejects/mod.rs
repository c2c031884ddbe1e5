//! Rows of `corrupt_records`, open ones and those that were replaced.
//!
//! Only reads. A rejected row is closed in the transaction that writes the row which replaces it.

mod row;

use common::event::Reason;
use secrecy::SecretString;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection};

use crate::connect::Database;
use crate::error::Error;
use crate::migrate::check_schema;
pub use row::{ByFile, ByReason, File, Reject};

/// Rows of a page.
const PAGE: i64 = 1_000;
const READ: &str = "read the rejected rows";

/// Selects rejected rows; all open ones by default.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub files: Option<Vec<i64>>,
    pub reason: Option<Reason>,
    /// Also rows that were replaced.
    pub with_closed: bool,
}

/// The rejected rows in one database.
#[derive(Debug)]
pub struct Rejects(PgConnection);

impl Rejects {
    /// Connects, and checks the schema.
    pub async fn connect(url: &SecretString) -> Result<Self, Error> {
        let mut connection = Database::at(url)?.connect().await?;
        check_schema(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Counts by reason, the most frequent first.
    pub async fn by_reason(&mut self, filter: &Filter) -> Result<Vec<ByReason>, Error> {
        self.all(include_str!("../../../sql/rejects_by_reason.sql"), filter).await
    }

    /// How many there are in each file.
    pub async fn by_file(&mut self, filter: &Filter) -> Result<Vec<ByFile>, Error> {
        self.all(include_str!("../../../sql/rejects_by_file.sql"), filter).await
    }

    /// The first `limit` of them, by file.
    pub async fn first(&mut self, filter: &Filter, limit: i64) -> Result<Vec<Reject>, Error> {
        let statement = include_str!("../../../sql/rejects.sql");
        let rows = sqlx::query_as(statement)
            .bind(filter.files.as_deref())
            .bind(filter.reason.map(|reason| reason.to_string()))
            .bind(filter.with_closed)
            .bind(limit);
        rows.fetch_all(&mut self.0).await.map_err(Error::of(READ))
    }

    /// A page of those of one file, after row `after`; empty at the end.
    pub async fn of_file(&mut self, filter: &Filter, file: i64, after: i64) -> Result<Vec<Reject>, Error> {
        let statement = include_str!("../../../sql/rejects_of_file.sql");
        let rows = sqlx::query_as(statement)
            .bind(file)
            .bind(after)
            .bind(filter.reason.map(|reason| reason.to_string()))
            .bind(filter.with_closed)
            .bind(PAGE);
        rows.fetch_all(&mut self.0).await.map_err(Error::of(READ))
    }

    /// The files whose path, end of the path, or id is `name`.
    pub async fn files_named(&mut self, name: &str) -> Result<Vec<File>, Error> {
        let files = sqlx::query_as(include_str!("../../../sql/files_named.sql")).bind(name);
        files.fetch_all(&mut self.0).await.map_err(Error::of(READ))
    }

    /// How many rejected rows the rows of `file` replace.
    pub async fn closed_by(&mut self, file: i64) -> Result<i64, Error> {
        let count = sqlx::query_scalar(include_str!("../../../sql/count_replaced.sql")).bind(file);
        count.fetch_one(&mut self.0).await.map_err(Error::of(READ))
    }

    async fn all<T>(&mut self, statement: &'static str, filter: &Filter) -> Result<Vec<T>, Error>
    where
        T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let rows = sqlx::query_as(statement)
            .bind(filter.files.as_deref())
            .bind(filter.reason.map(|reason| reason.to_string()))
            .bind(filter.with_closed);
        rows.fetch_all(&mut self.0).await.map_err(Error::of(READ))
    }
}
