//! A connection together with the server's process behind it.
//!
//! When a network drops a connection without a reset, neither end notices: the client waits for an answer and the server
//! for a query, for ever, and what the server's transaction has locked stays locked. So while work takes long, a second
//! connection looks at the server process: work enters, and its result leaves, or an error when the connection is lost.

use std::io;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::connect::Database;
use crate::error::Error;

#[derive(Debug)]
pub struct Session {
    pub connection: PgConnection,
    pub backend: Backend,
}

/// The server process behind a connection.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    pid: i32,
    started: DateTime<Utc>,
}

enum BackendStatus {
    Alive {
        doing: String,
        waits_for_client_since: Option<String>,
    },
    /// The process has ended, or the server cannot be reached.
    Lost,
    /// The server answers, but with an error (it may be out of connections).
    Unknown,
}

/// Work that is still going on after so long.
#[derive(Debug, thiserror::Error)]
#[error("no answer for {waited_s} s, and the server still works on it ({doing})")]
struct Slow {
    waited_s: u64,
    doing: String,
}

impl Database {
    /// Connects, and ends the server process of an earlier session that was `lost`.
    pub async fn session(&self, lost: Option<Backend>) -> Result<Session, Error> {
        let mut connection = self.connect().await?;
        let opened = async {
            if let Some(Backend { pid, started }) = lost {
                let end = sqlx::query(include_str!("../../sql/end_backend.sql"));
                end.bind(pid).bind(started).execute(&mut connection).await?;
            }
            let (pid, started) =
                sqlx::query_as(include_str!("../../sql/find_backend.sql")).fetch_one(&mut connection).await?;
            Ok(Backend { pid, started })
        };
        let backend = self.in_time(opened).await?;
        Ok(Session { connection, backend })
    }

    /// Waits for `work` on the session of `backend`, however long the server works on it. A lost connection is a
    /// transient error. Work that takes longer than `answer_timeout` is logged once.
    pub async fn watch<T, E: From<sqlx::Error>>(
        &self,
        backend: Backend,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        // On the heap: it is large, and would make everything that waits for it large too.
        let mut work = Box::pin(work);
        let (mut before, mut is_logged) = (None, false);
        for looks in 1.. {
            let look = async {
                tokio::time::sleep(self.answer_timeout).await;
                self.look_at(backend).await
            };
            let status = tokio::select! {
                done = &mut work => {
                    if is_logged && done.is_ok() {
                        self.outage.succeeded();
                    }
                    return done;
                }
                status = look => status,
            };
            match status {
                // A short wait for the client is normal: the client works too.
                BackendStatus::Alive { waits_for_client_since: Some(since), .. }
                    if before.as_ref() != Some(&since) =>
                {
                    before = Some(since);
                }
                BackendStatus::Alive { waits_for_client_since: Some(_), .. } | BackendStatus::Lost => break,
                BackendStatus::Alive { doing, waits_for_client_since: None } => {
                    if !std::mem::replace(&mut is_logged, true) {
                        let waited_s = self.answer_timeout.as_secs() * looks;
                        self.outage.failed(&Slow { waited_s, doing });
                    }
                }
                BackendStatus::Unknown => {}
            }
        }
        let lost =
            format!("no answer for {} s or more, and the connection is lost", self.answer_timeout.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, lost)).into())
    }

    async fn look_at(&self, backend: Backend) -> BackendStatus {
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return BackendStatus::of(&error),
        };
        let asked = sqlx::query_as(include_str!("../../sql/backend_status.sql"))
            .bind(backend.pid)
            .bind(backend.started)
            .fetch_optional(&mut connection);
        match self.in_time(asked).await {
            Ok(Some((doing, waits_for_client_since))) => {
                BackendStatus::Alive { doing, waits_for_client_since }
            }
            Ok(None) => BackendStatus::Lost,
            Err(error) => BackendStatus::of(&error),
        }
    }
}

impl BackendStatus {
    fn of(error: &Error) -> Self {
        match error {
            Error::Connect { source: sqlx::Error::Database(_), .. } => Self::Unknown,
            _ => Self::Lost,
        }
    }
}
