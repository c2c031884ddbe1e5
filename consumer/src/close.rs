//! Closes files: announces to the tailer each finished file that is reconciled.

mod commit_notify;

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

/// Batches that follow each other within this time are looked at together.
const PAUSE: Duration = Duration::from_millis(25);
/// How often is looked while a finished file waits for its last rows, which another replica may have.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often is looked while there is nothing to wait for, so that an idle consumer knows of its database.
const IDLE: Duration = Duration::from_secs(5);
/// The longest turn: a look at the files, and a word on each that is complete.
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
        /// The file.
        file_id: i64,
        /// The broker's word.
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

/// What this stage says of itself and of the database, which it asks more steadily than any other.
#[derive(Debug)]
pub(crate) struct Signs {
    pub(crate) pulse: Pulse,
    pub(crate) has_database: Need,
}

/// Closes what can be closed after each commit, until every writer has ended, and then once more.
pub(crate) async fn run(
    nats: Nats,
    database: Database,
    mut notifications: CommitNotifications,
    signs: Signs,
) -> Result<(), Error> {
    let outage = Outage::new("announcing closed files");
    let mut closer = Closer { nats, database, session: None, bucket: None };
    let mut waiting = true;
    let mut more = true;
    // At the start, and after an error, any file may have been left half done.
    let mut any = true;
    while more {
        more = tokio::select! {
            more = notifications.wait() => more,
            () = tokio::time::sleep(if waiting { PATIENCE } else { IDLE }) => true,
        };
        if more {
            tokio::time::sleep(PAUSE).await;
        }
        signs.pulse.work();
        fault::hang("close").await;
        let touched = notifications.take();
        let looked = closer.close(if any { None } else { Some(&touched) }).await;
        any = looked.is_err();
        signs.has_database.set(!matches!(looked, Err(Error::Database(_) | Error::Ledger(_))));
        waiting = match looked {
            Ok(waiting) => {
                outage.succeeded();
                signs.pulse.rest();
                waiting
            }
            Err(error) if error.class() == ErrorClass::Transient => {
                // A writer says so when the database is away; the broker's connection says so itself.
                tracing::debug!(error = &error as &dyn std::error::Error, "not closed yet");
                if matches!(error, Error::Bucket(_) | Error::Announce { .. }) && closer.nats.is_connected() {
                    outage.failed(&error);
                }
                // An outage is logged as what it is; the stage gets its whole limit when it is over.
                signs.pulse.rest();
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
}

impl Closer {
    /// Whether finished files are left that are not complete yet. Of the `touched` files, or of any, more rows may have
    /// come than their accounts say.
    async fn close(&mut self, touched: Option<&[i64]>) -> Result<bool, Error> {
        let Self { nats, database, session, bucket } = self;
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
            // First the word, then the mark: a crash between them says the same again.
            fault::point("before_closed_word");
            for &(file_id, revision, rows_read) in &complete {
                announce(bucket, file_id, ClosedFile { revision, rows_read }).await?;
            }
            fault::point("after_closed_word");
            database.watch(*backend, mark(connection, &complete)).await?;
            database.watch(*backend, warn_of_doubtful_ids(connection, &complete)).await?;
        }
        Ok(database.watch(*backend, are_waiting(connection)).await?)
    }
}

/// Takes what has come of truncated files for what was read of them, where that is more.
async fn raise(connection: &mut PgConnection, touched: Option<&[i64]>) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("../../sql/raise_truncated.sql")).bind(touched).execute(connection).await?;
    Ok(())
}

/// File, revision of its account and rows of each file that is reconciled.
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

/// Logs each closed file whose ids are hardly those of events.
async fn warn_of_doubtful_ids(
    connection: &mut PgConnection,
    closed: &[(i64, i64, i64)],
) -> Result<(), sqlx::Error> {
    let files: Vec<(String, i64, i64)> = sqlx::query_as(include_str!("../../sql/differing_duplicates.sql"))
        .bind(closed.iter().map(|(file_id, ..)| *file_id).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    for (file, rows_read, differing) in files {
        if has_doubtful_ids(rows_read, differing) {
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
