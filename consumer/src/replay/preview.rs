//! The dry run: what would become of the messages, without writing anything. Chunks enter, counts by outcome leave.

use ledger::batch_id::BatchId;
use serde::Serialize;
use sqlx::{Executor as _, FromRow, PgConnection};

use super::Error;
use crate::batch::Batch;
use crate::write::{INCOMING, copy};

/// What would become of the messages of one type and day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub(crate) struct OutcomeCounts {
    /// The event's type, or `rejected`.
    pub event_type: String,
    /// Of the event's time, in UTC.
    pub day: Option<String>,
    /// All of them.
    pub messages: i64,
    /// Those that would be new.
    pub inserted: i64,
    /// Those whose row is there already, or comes twice.
    pub skipped: i64,
    /// Those whose event id belongs to another row.
    pub conflicts: i64,
}

/// The state of a dry run: temporary tables of one connection.
#[derive(Debug)]
pub(super) struct Preview(PgConnection);

impl Preview {
    pub(super) async fn begin(mut connection: PgConnection) -> Result<Self, Error> {
        let failed = Error::database("prepare the dry run");
        let made = async {
            connection.execute(include_str!("../../../sql/create_incoming.sql")).await?;
            connection.execute(include_str!("../../../sql/replay_create_preview.sql")).await
        };
        made.await.map_err(failed)?;
        Ok(Self(connection))
    }

    /// Adds the messages of `batch`.
    pub(super) async fn add(&mut self, batch: &Batch) -> Result<(), Error> {
        self.note(batch).await.map_err(Error::database("take note of messages"))
    }

    async fn note(&mut self, batch: &Batch) -> sqlx::Result<()> {
        let origins = || batch.corrupt.iter().map(|record| record.origin);
        self.0.execute("begin").await?;
        copy(&mut self.0, INCOMING, BatchId::default(), &batch.rows).await?;
        self.0.execute(include_str!("../../../sql/replay_preview_rows.sql")).await?;
        sqlx::query(include_str!("../../../sql/replay_preview_rejects.sql"))
            .bind(origins().map(|origin| origin.map(|origin| origin.file.get())).collect::<Vec<_>>())
            .bind(origins().map(|origin| origin.map(|origin| origin.row)).collect::<Vec<_>>())
            .execute(&mut self.0)
            .await?;
        self.0.execute("commit").await?;
        Ok(())
    }

    /// What would become of them all, in the tables or in a new one.
    pub(super) async fn outcomes(mut self, into_new_table: bool) -> Result<Vec<OutcomeCounts>, Error> {
        sqlx::query_as(include_str!("../../../sql/replay_preview.sql"))
            .bind(into_new_table)
            .fetch_all(&mut self.0)
            .await
            .map_err(Error::database("count the messages by outcome"))
    }
}
