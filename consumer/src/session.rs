//! A connection together with the server's process behind it.
//!
//! A network that forgets a connection tells neither end: the client waits for an answer and the server for a question,
//! for ever, and what the server's transaction has locked stays locked. So the server is asked, on a second connection,
//! about work that takes long: work enters, and its result leaves, or an error when the two have lost each other.

use std::io;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::connect::{self, Database};

/// A connection that can be missed.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    pub(crate) backend: Backend,
}

/// The server's process behind a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backend {
    pid: i32,
    started: DateTime<Utc>,
}

/// What the server says of a process.
enum Sight {
    /// It has not ended; where it waits for its client, since when.
    Alive { doing: String, waits_for_client_since: Option<String> },
    /// It has ended, or the server cannot be reached.
    Lost,
    /// The server answers, but not this.
    Unclear,
}

/// Work that is still going on after so long.
#[derive(Debug, thiserror::Error)]
#[error("no answer for {waited_s} s, and the server still works on it ({doing})")]
struct Slow {
    waited_s: u64,
    doing: String,
}

impl Database {
    /// Connects, and ends what the server still keeps of an earlier session that was `lost`.
    pub(crate) async fn session(&self, lost: Option<Backend>) -> Result<Session, connect::Error> {
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

    /// Waits for `work` on the session behind which is `backend`, however long the server works on it; an error that
    /// is tried again when they have lost each other. Work that takes long is told once.
    pub(crate) async fn watch<T, E: From<sqlx::Error>>(
        &self,
        backend: Backend,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        // On the heap: it is large, and would make everything that waits for it large too.
        let mut work = Box::pin(work);
        let (mut before, mut told) = (None, false);
        for looks in 1.. {
            let look = async {
                tokio::time::sleep(self.answer_timeout).await;
                self.look_at(backend).await
            };
            let sight = tokio::select! {
                done = &mut work => {
                    if told && done.is_ok() {
                        self.outage.succeeded();
                    }
                    return done;
                }
                sight = look => sight,
            };
            match sight {
                // A moment's wait for the client is nothing, since the client works too.
                Sight::Alive { waits_for_client_since: Some(since), .. }
                    if before.as_ref() != Some(&since) =>
                {
                    before = Some(since);
                }
                Sight::Alive { waits_for_client_since: Some(_), .. } | Sight::Lost => break,
                Sight::Alive { doing, waits_for_client_since: None } => {
                    if !std::mem::replace(&mut told, true) {
                        let waited_s = self.answer_timeout.as_secs() * looks;
                        self.outage.failed(&Slow { waited_s, doing });
                    }
                }
                Sight::Unclear => {}
            }
        }
        let lost =
            format!("no answer for {} s or more, and the connection is lost", self.answer_timeout.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, lost)).into())
    }

    async fn look_at(&self, backend: Backend) -> Sight {
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return Sight::of(&error),
        };
        let asked = sqlx::query_as(include_str!("../../sql/look_at_backend.sql"))
            .bind(backend.pid)
            .bind(backend.started)
            .fetch_optional(&mut connection);
        match self.in_time(asked).await {
            Ok(Some((doing, waits_for_client_since))) => Sight::Alive { doing, waits_for_client_since },
            Ok(None) => Sight::Lost,
            Err(error) => Sight::of(&error),
        }
    }
}

impl Sight {
    fn of(error: &connect::Error) -> Self {
        match error {
            // Out of connections, say: it is there.
            connect::Error::Refused { source: sqlx::Error::Database(_), .. } => Self::Unclear,
            _ => Self::Lost,
        }
    }
}
