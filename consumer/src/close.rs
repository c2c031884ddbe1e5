//! Closes files: when every row that was read of a finished file is in a table, the tailer is told.

use std::time::Duration;

use async_nats::jetstream::kv;
use common::nats::Nats;
use common::stream;
use common::wire::ClosedFile;
use sqlx::PgConnection;
use tokio::sync::mpsc;

use crate::connect::{self, Database};
use crate::verdict::Verdict;

/// Batches that follow each other within this time are looked at together.
const PAUSE: Duration = Duration::from_millis(25);
/// How often is looked while a finished file waits for its last rows, which another replica may have.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a file cannot be closed now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error("failed to look for files to close")]
    Database(#[from] sqlx::Error),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] connect::Error),
    /// No bucket.
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

impl Error {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Database(error) => crate::verdict::of(error),
            Self::Connect(error) => error.verdict(),
            Self::Bucket(_) | Self::Announce { .. } => Verdict::Retry,
        }
    }
}

/// Someone committed something; that there is one such word is enough.
pub(crate) type Nudge = mpsc::Sender<()>;

/// Makes both ends.
pub(crate) fn nudges() -> (Nudge, mpsc::Receiver<()>) {
    mpsc::channel(1)
}

/// Closes what can be closed after each nudge, until nobody is left who could give one, and then once more.
pub(crate) async fn run(nats: Nats, database: Database, mut nudges: mpsc::Receiver<()>) -> Result<(), Error> {
    let mut closer = Closer { nats, database, session: None, bucket: None };
    let mut waiting = true;
    let mut more = true;
    while more {
        more = tokio::select! {
            nudge = nudges.recv() => nudge.is_some(),
            () = tokio::time::sleep(PATIENCE), if waiting => true,
        };
        if more {
            tokio::time::sleep(PAUSE).await;
        }
        waiting = match closer.close().await {
            Ok(waiting) => waiting,
            Err(error) if error.verdict() == Verdict::Retry => {
                // A writer says so when the database is away; the broker's connection says so itself.
                tracing::debug!(error = &error as &dyn std::error::Error, "not closed yet");
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
    session: Option<PgConnection>,
    bucket: Option<kv::Store>,
}

impl Closer {
    /// Whether finished files are left that are not complete yet.
    async fn close(&mut self) -> Result<bool, Error> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(self.database.connect().await?),
        };
        let complete: Vec<(i64, i64, i64)> =
            sqlx::query_as(include_str!("../../sql/files_to_close.sql")).fetch_all(&mut *session).await?;
        if !complete.is_empty() {
            let bucket = match &mut self.bucket {
                Some(bucket) => bucket,
                none => none.insert(stream::closed_bucket(&self.nats.jetstream).await?),
            };
            // First the word, then the mark: a crash between them says the same again.
            for &(file_id, revision, rows_read) in &complete {
                announce(bucket, file_id, ClosedFile { revision, rows_read }).await?;
            }
            mark(session, &complete).await?;
        }
        Ok(sqlx::query_scalar(include_str!("../../sql/files_waiting.sql")).fetch_one(session).await?)
    }
}

async fn announce(bucket: &kv::Store, file_id: i64, closed: ClosedFile) -> Result<(), Error> {
    let failed = |source| Error::Announce { file_id, source };
    let value = serde_json::to_vec(&closed).map_err(|error| failed(error.into()))?;
    bucket.put(file_id.to_string(), value.into()).await.map_err(|error| failed(error.into()))?;
    tracing::debug!(file_id, rows_read = closed.rows_read, "closed");
    Ok(())
}

async fn mark(session: &mut PgConnection, closed: &[(i64, i64, i64)]) -> Result<(), Error> {
    sqlx::query(include_str!("../../sql/close_files.sql"))
        .bind(closed.iter().map(|(file_id, ..)| *file_id).collect::<Vec<_>>())
        .bind(closed.iter().map(|(_, revision, _)| *revision).collect::<Vec<_>>())
        .execute(session)
        .await?;
    Ok(())
}
