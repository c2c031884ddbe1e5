//! Closes files: announces to the tailer each finished file that is reconciled.

mod commit_notify;

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::kv;
use common::event::has_doubtful_ids;
use common::health::{Need, Pulse};
use common::nats::Nats;
use common::printable::printable;
use common::wire::ClosedFile;
use common::{Classify, ErrorClass, Outage, fault, stream};
use ledger::{Database, Session, classify};
use sqlx::PgConnection;

pub(crate) use commit_notify::{CommitNotifications, CommitNotifier, commit_notifications};

/// Commits within this time are handled together.
const PAUSE: Duration = Duration::from_millis(25);
/// How often to check while a finished file waits for its last rows, which another replica may write.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often to check while no file waits, so that an idle consumer notices when its database is away.
const IDLE: Duration = Duration::from_secs(5);
/// How long one turn may take: to check the files, and to announce each that is complete.
pub(crate) const TURN: Duration = Duration::from_mins(5);

/// Why a file cannot be closed now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to look for files to close")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    Bucket(#[from] stream::Error),
    /// The bucket does not take it.
    #[error("failed to announce that file {file_id} is closed")]
    Announce {
        file_id: i64,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => classify(error),
            Self::Ledger(error) => error.class(),
            Self::Bucket(_) | Self::Announce { .. } => ErrorClass::Transient,
        }
    }
}

/// What this stage reports: its own progress, and whether the database answers, which it queries at the most regular
/// times.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) pulse: Pulse,
    pub(crate) has_database: Need,
}

/// Closes what can be closed after each commit, until every writer has ended, and then once more.
pub(crate) async fn run(
    nats: Nats,
    database: Database,
    mut notifications: CommitNotifications,
    reports: Reports,
) -> Result<(), Error> {
    let outage = Outage::new("announcing closed files");
    let mut closer = Closer { nats, database, session: None, bucket: None, doubtful: HashSet::new() };
    let mut waiting = true;
    let mut more = true;
    // At the start, and after an error, closing of any file may be incomplete.
    let mut any = true;
    while more {
        more = tokio::select! {
            more = notifications.wait() => more,
            () = tokio::time::sleep(if waiting { PATIENCE } else { IDLE }) => true,
        };
        if more {
            tokio::time::sleep(PAUSE).await;
        }
        reports.pulse.work();
        fault::hang("close").await;
        let touched = notifications.take();
        let looked = closer.close(if any { None } else { Some(&touched) }).await;
        any = looked.is_err();
        reports.has_database.set(!matches!(looked, Err(Error::Database(_) | Error::Ledger(_))));
        waiting = match looked {
            Ok(waiting) => {
                outage.succeeded();
                reports.pulse.rest();
                waiting
            }
            Err(error) if error.class() == ErrorClass::Transient => {
                // A writer logs that the database is away, and the connection that the broker is.
                tracing::debug!(error = &error as &dyn std::error::Error, "not closed yet");
                if matches!(error, Error::Bucket(_) | Error::Announce { .. }) && closer.nats.is_connected() {
                    outage.failed(&error);
                }
                // An outage is no stall: the stage has its whole limit again when it is over.
                reports.pulse.rest();
                closer.session = None;
                closer.bucket = None;
                true
            }
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

struct Closer {
    nats: Nats,
    database: Database,
    session: Option<Session>,
    bucket: Option<kv::Store>,
    /// Files whose doubtful ids were logged.
    doubtful: HashSet<i64>,
}

impl Closer {
    /// Whether finished files are left that are not complete yet. Of the `touched` files, or of any where there is none,
    /// more rows may have come than their totals say.
    async fn close(&mut self, touched: Option<&[i64]>) -> Result<bool, Error> {
        let Self { nats, database, session, bucket, doubtful } = self;
        let Session { connection, backend } = match session {
            Some(session) => session,
            none => none.insert(database.session(None).await?),
        };
        if touched.is_none_or(|touched| !touched.is_empty()) {
            database.watch(*backend, raise(connection, touched)).await?;
        }
        let complete = database.watch(*backend, complete(connection)).await?;
        if !complete.is_empty() {
            let bucket = match bucket {
                Some(bucket) => bucket,
                none => none.insert(stream::closed_bucket(&nats.jetstream).await?),
            };
            // First announced, then marked: after a crash between the two it is announced again.
            fault::point("before_closed_word");
            for &(file_id, revision, rows_read) in &complete {
                announce(bucket, file_id, ClosedFile { revision, rows_read }).await?;
            }
            fault::point("after_closed_word");
            database.watch(*backend, mark(connection, &complete)).await?;
            database.watch(*backend, warn_of_doubtful_ids(connection, &complete, doubtful)).await?;
        }
        Ok(database.watch(*backend, are_waiting(connection)).await?)
    }
}

/// Raises the totals of truncated files to the rows that have come, where those are more.
async fn raise(connection: &mut PgConnection, touched: Option<&[i64]>) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/raise_truncated.sql")).bind(touched).execute(connection).await?;
    Ok(())
}

/// File, revision of its totals and number of rows, of each file that is reconciled.
async fn complete(connection: &mut PgConnection) -> Result<Vec<(i64, i64, i64)>, sqlx::Error> {
    sqlx::query_as(include_str!("../../sql/files_to_close.sql")).fetch_all(connection).await
}

async fn announce(bucket: &kv::Store, file_id: i64, closed: ClosedFile) -> Result<(), Error> {
    let failed = |source| Error::Announce { file_id, source };
    let value = serde_json::to_vec(&closed).map_err(|error| failed(error.into()))?;
    bucket.put(file_id.to_string(), value.into()).await.map_err(|error| failed(error.into()))?;
    tracing::debug!(file_id, rows_read = closed.rows_read, "closed");
    Ok(())
}

async fn mark(connection: &mut PgConnection, closed: &[(i64, i64, i64)]) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/close_files.sql"))
        .bind(closed.iter().map(|(file_id, ..)| *file_id).collect::<Vec<_>>())
        .bind(closed.iter().map(|(_, revision, _)| *revision).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Logs once each closed file whose ids are hardly those of events.
async fn warn_of_doubtful_ids(
    connection: &mut PgConnection,
    closed: &[(i64, i64, i64)],
    logged: &mut HashSet<i64>,
) -> Result<(), sqlx::Error> {
    let files: Vec<(i64, String, i64, i64)> =
        sqlx::query_as(include_str!("../../sql/differing_duplicates.sql"))
            .bind(closed.iter().map(|(file_id, ..)| *file_id).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
    for (file_id, file, rows_read, differing) in files {
        if has_doubtful_ids(rows_read, differing) && logged.insert(file_id) {
            tracing::warn!(
                file = %printable(&file),
                rows_read,
                differing,
                "rows have the id of another row and other content, and are duplicates; where they are events, set \
                 id_scope or event_id in a [[source]]"
            );
        }
    }
    Ok(())
}

/// Whether files are finished that are not reconciled yet.
async fn are_waiting(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(include_str!("../../sql/files_waiting.sql")).fetch_one(connection).await
}
