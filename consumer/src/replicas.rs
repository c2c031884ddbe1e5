//! Who shares the work: a database enters, what each replica has written lately leaves.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;

use crate::account::Error;
use crate::connect::Database;

/// One replica in the last minute before the newest commit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicaShare {
    /// Its name in `batches`.
    pub replica: String,
    /// Rows that it brought to their tables, or found there.
    pub rows: i64,
    /// Its share of the rows of all replicas, in per cent.
    pub share_percent: f64,
    /// How long before its last commit the oldest of those rows was written to its file, in milliseconds.
    pub lag_ms: Option<f64>,
    /// When it committed last.
    pub last_commit: DateTime<Utc>,
}

/// A row of the statement, in the order of a [`ReplicaShare`].
type Recent = (String, i64, f64, Option<f64>, DateTime<Utc>);

impl From<Recent> for ReplicaShare {
    fn from((replica, rows, share_percent, lag_ms, last_commit): Recent) -> Self {
        Self { replica, rows, share_percent, lag_ms, last_commit }
    }
}

/// The replicas that have committed lately, the busiest first.
pub async fn recent(url: &SecretString) -> Result<Vec<ReplicaShare>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let rows: Vec<Recent> = sqlx::query_as(include_str!("../../sql/replicas.sql"))
        .fetch_all(&mut connection)
        .await
        .map_err(Error::Read)?;
    Ok(rows.into_iter().map(ReplicaShare::from).collect())
}
