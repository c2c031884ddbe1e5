//! What each replica has written in the last minute before the newest commit.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::FromRow;

use crate::connect::Database;
use crate::error::Error;

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow)]
pub struct ReplicaShare {
    pub replica: String,
    /// Rows of its batches, redeliveries included.
    pub rows: i64,
    /// Its share of the rows of all replicas, in per cent.
    pub share_percent: f64,
    /// How long before its last commit the oldest of those rows was written to its file, in milliseconds.
    pub lag_ms: Option<f64>,
    pub last_commit: DateTime<Utc>,
}

/// The replicas that have committed lately, the busiest first.
pub async fn recent(url: &SecretString) -> Result<Vec<ReplicaShare>, Error> {
    let mut connection = Database::at(url)?.connect().await?;
    let read = sqlx::query_as(include_str!("../../sql/replicas.sql")).fetch_all(&mut connection).await;
    read.map_err(Error::of("read what replicas have written"))
}
