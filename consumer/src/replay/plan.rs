//! What a replay needs before it begins: options enter, a [`Ready`] leaves, or the reason why there is nothing to do.

use std::collections::HashSet;

use async_nats::jetstream::stream::Stream;
use common::config::Config;
use common::nats::{self, Nats};
use common::{Clock, FileId, Shutdown, stream};
use futures::TryStreamExt as _;
use ledger::{Database, check_schema};
use sqlx::PgConnection;

use super::selection::{Asked, Selection};
use super::{Error, Options, source, table};

/// A replay that may begin: every condition is checked, and nothing is changed.
pub(super) struct Ready {
    pub(super) nats: Nats,
    pub(super) database: Database,
    pub(super) stream: Stream,
    pub(super) name: String,
    pub(super) selection: Selection,
    pub(super) read: u64,
    pub(super) is_cut: bool,
    /// Holds the right to this name.
    pub(super) session: PgConnection,
}

/// Checks every condition of the replay.
pub(super) async fn prepare(
    config: &Config,
    options: &Options,
    clock: Clock,
    shutdown: &Shutdown,
) -> Result<Ready, Error> {
    let name = options.name.clone().unwrap_or_else(|| options.asked.name());
    let database = Database::of(&config.database)?;
    let mut session = database.connect().await?;
    check_schema(&mut session).await?;
    let is_ours: bool = sqlx::query_scalar(include_str!("../../../sql/replay_lock.sql"))
        .bind(&name)
        .fetch_one(&mut session)
        .await
        .map_err(Error::database("ask whether this replay runs already"))?;
    if !is_ours {
        return Err(Error::Running { name });
    }
    let nats = nats::connect(&config.nats, &format!("replay {name}"), shutdown).await?;
    let stream = stream::find(&nats.jetstream).await?.ok_or(Error::NoStream)?;
    let cut = source::cut(&stream, &name).await?;
    let is_cut = cut.is_some();
    let (selection, read) = match cut {
        Some((selection, read)) if selection.asked == options.asked => (selection, read),
        Some(_) => return Err(Error::OtherOptions { name }),
        None => {
            let selection = select(&stream, &mut session, &options.asked, clock).await?;
            let read = selection.first_sequence - 1;
            (selection, read)
        }
    };
    if let Some(table) = &options.table {
        table::refuse_foreign(&mut session, table, &name, is_cut).await?;
    }
    Ok(Ready { nats, database, stream, name, selection, read, is_cut, session })
}

/// Determines what is replayed, and refuses an empty selection.
async fn select(
    stream: &Stream,
    session: &mut PgConnection,
    asked: &Asked,
    clock: Clock,
) -> Result<Selection, Error> {
    let state = &stream.cached_info().state;
    if let Some(subject) = &asked.subject {
        let of_subject = subjects(stream, subject).await.unwrap_or_default();
        if of_subject.is_empty() {
            let found = subjects(stream, ">").await?.join(", ");
            return Err(Error::NoSuchSubject { subject: subject.clone(), found });
        }
    }
    let files = match &asked.file {
        Some(file) => Some(files(session, file).await?),
        None => None,
    };
    // What is not written yet must be written by the consumers, or it would be missing in the totals of its file. A table
    // of its own has no totals.
    let end = match &asked.into {
        Some(_) => state.last_sequence,
        None => stream::durable(stream).await?.map_or(0, |durable| durable.acknowledged),
    };
    let first = asked.from_sequence.unwrap_or(state.first_sequence).max(1);
    let last = asked.to_sequence.unwrap_or(end).min(end);
    if asked.from_sequence.is_some() && first < state.first_sequence {
        return Err(Error::Gap { from: first, to: state.first_sequence - 1 });
    }
    if first > last {
        return Err(Error::Empty { first: state.first_sequence, last: end });
    }
    let selection = Selection::new(asked.clone(), (first, last), files, clock.now());
    if selection.is_upside_down() { Err(Error::NoTime) } else { Ok(selection) }
}

/// Subjects that fit `filter` and have messages.
async fn subjects(stream: &Stream, filter: &str) -> Result<Vec<String>, Error> {
    let failed = |error| Error::broker("list the subjects of the stream", error);
    let listed = stream.info_with_subjects(filter).await.map_err(failed)?;
    let mut subjects: Vec<String> = listed
        .map_ok(|(subject, _)| subject)
        .try_collect()
        .await
        .map_err(|error| Error::broker("list the subjects of the stream", error))?;
    subjects.sort_unstable();
    Ok(subjects)
}

async fn files(session: &mut PgConnection, file: &str) -> Result<HashSet<FileId>, Error> {
    let found: Vec<(i64, String, bool)> = sqlx::query_as(include_str!("../../../sql/files_named.sql"))
        .bind(file)
        .fetch_all(session)
        .await
        .map_err(Error::database("look for the file"))?;
    if found.is_empty() {
        return Err(Error::NoSuchFile(file.to_owned()));
    }
    Ok(found.into_iter().map(|(file_id, ..)| FileId::from(file_id)).collect())
}
