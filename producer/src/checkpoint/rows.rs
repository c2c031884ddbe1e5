//! Checkpoints as rows of the store, in JSON. They are found by file and by inode.
//!
//! Many files may have the same mapping: each mapping is one row, and in memory once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use common::FileId;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use serde::Serialize;

use crate::checkpoint::disk::Error;
use crate::checkpoint::{Announced, Checkpoint, SentPosition, VERSION};
use crate::file::identity::hash;
use crate::map::Mapping;

/// `is_open` marks what a tailer loads at its start; all others are looked up by key.
pub(super) const TABLES: &str = "
    create table checkpoint (
        file_id integer primary key,
        inode integer not null,
        state text not null,
        is_open integer not null,
        stream_created integer,
        stream_sequence integer,
        mapping integer,
        body text not null,
        sent text
    );
    create index checkpoint_inode on checkpoint (inode);
    create index checkpoint_open on checkpoint (file_id) where is_open = 1;
    create index checkpoint_truncated on checkpoint (stream_created, stream_sequence) where state = 'truncated';
    create table mapping (id integer primary key, body text not null);
    create table setting (name text primary key, value integer not null);
    create table announced (file_id integer primary key, path text, bytes integer not null);
";

const COLUMNS: &str =
    "select c.body, c.mapping, m.body from checkpoint c left join mapping m on m.id = c.mapping";

/// Mappings in memory, by their row.
#[derive(Debug, Default)]
pub(super) struct Mappings(Mutex<HashMap<i64, Weak<Mapping>>>);

impl Mappings {
    fn of(&self, id: i64, json: &str) -> serde_json::Result<Arc<Mapping>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapping) = known.get(&id).and_then(Weak::upgrade) {
            return Ok(mapping);
        }
        if known.len() == known.capacity() {
            known.retain(|_, mapping| mapping.strong_count() > 0);
        }
        let mapping = Arc::new(serde_json::from_str(json)?);
        known.insert(id, Arc::downgrade(&mapping));
        Ok(mapping)
    }
}

/// The rows of one store.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) mappings: &'a Mappings,
    pub(super) path: &'a Path,
}

impl Rows<'_> {
    pub fn of_file(self, file: FileId) -> Result<Option<Checkpoint>, Error> {
        Ok(self.select("where c.file_id = ?1", [file.get()])?.pop())
    }

    pub(super) fn of_inode(self, inode: u64) -> Result<Vec<Checkpoint>, Error> {
        self.select("where c.inode = ?1", [inode.cast_signed()])
    }

    /// Files that may still change.
    pub(super) fn open(self) -> Result<Vec<Checkpoint>, Error> {
        self.select("where c.is_open = 1", [])
    }

    pub(super) fn truncated(self) -> Result<Vec<Checkpoint>, Error> {
        self.select("where c.state = 'truncated'", [])
    }

    /// Archived ones too: as many as there ever were.
    pub(crate) fn all(self) -> Result<Vec<Checkpoint>, Error> {
        self.select("", [])
    }

    /// The truncated file whose position was acknowledged last.
    pub(super) fn latest_truncated(self) -> Result<Option<Checkpoint>, Error> {
        let latest =
            "where c.state = 'truncated' order by c.stream_created desc, c.stream_sequence desc limit 1";
        Ok(self.select(latest, [])?.pop())
    }

    pub(super) fn sent(self, file: FileId) -> Result<Option<SentPosition>, Error> {
        let sent: Option<Option<String>> = self
            .connection
            .prepare_cached("select sent from checkpoint where file_id = ?1")
            .and_then(|mut query| query.query_row([file.get()], |row| row.get(0)).optional())
            .map_err(Error::of("read", self.path))?;
        sent.flatten()
            .map(|json| serde_json::from_str(&json).map_err(|error| self.unreadable(&error)))
            .transpose()
    }

    /// What the stream has of a file whose checkpoint was lost.
    pub(super) fn announced(self, file: FileId) -> Result<Option<Announced>, Error> {
        self.connection
            .prepare_cached("select path, bytes from announced where file_id = ?1")
            .and_then(|mut query| {
                let columns = |row: &Row<'_>| {
                    let path = row.get::<_, Option<String>>(0)?.map(PathBuf::from);
                    Ok(Announced { file, path, bytes: row.get::<_, i64>(1)?.cast_unsigned() })
                };
                query.query_row([file.get()], columns).optional()
            })
            .map_err(Error::of("read", self.path))
    }

    fn select(self, which: &str, keys: impl Params) -> Result<Vec<Checkpoint>, Error> {
        let failed = Error::of("read", self.path);
        let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let mut query = match self.connection.prepare_cached(&format!("{COLUMNS} {which}")) {
            Ok(query) => query,
            Err(error) => return Err(failed(error)),
        };
        let found = query.query_map(keys, columns).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        found.map_err(failed)?.into_iter().map(|columns| self.checkpoint(columns)).collect()
    }

    fn checkpoint(
        self,
        (body, id, mapping): (String, Option<i64>, Option<String>),
    ) -> Result<Checkpoint, Error> {
        let mut checkpoint: Checkpoint =
            serde_json::from_str(&body).map_err(|error| self.unreadable(&error))?;
        if checkpoint.version != VERSION {
            let what = format!("file {} has version {}", checkpoint.file_id, checkpoint.version);
            return Err(Error::Unreadable { path: self.path.to_owned(), what });
        }
        checkpoint.mapping = match (id, mapping) {
            (None, _) => None,
            (Some(id), Some(json)) => {
                Some(self.mappings.of(id, &json).map_err(|error| self.unreadable(&error))?)
            }
            (Some(_), None) => {
                return Err(
                    self.unreadable(&format!("the mapping of file {} is not there", checkpoint.file_id))
                );
            }
        };
        Ok(checkpoint)
    }

    fn unreadable(self, what: &dyn ToString) -> Error {
        Error::Damaged { path: self.path.to_owned(), what: what.to_string() }
    }
}

/// Replaces the file's row. The sent position is kept while the file may still be read.
pub(super) fn put(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    let mapping = checkpoint.mapping.as_deref().map(json).transpose()?;
    let id = mapping.as_deref().map(|json| hash(json.as_bytes()).cast_signed());
    if let (Some(id), Some(body)) = (id, mapping) {
        let mut insert = connection.prepare_cached("insert or ignore into mapping values (?1, ?2)")?;
        insert.execute(params![id, body])?;
    }
    let body = json(&Checkpoint { mapping: None, ..checkpoint.clone() })?;
    let stream = checkpoint.stream.as_ref();
    connection
        .prepare_cached(
            "insert into checkpoint values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, null)
             on conflict (file_id) do update set
                inode = ?2, state = ?3, is_open = ?4, stream_created = ?5, stream_sequence = ?6, mapping = ?7,
                body = ?8, sent = case when ?9 then sent end",
        )?
        .execute(params![
            checkpoint.file_id.get(),
            checkpoint.identity.inode.cast_signed(),
            checkpoint.state.as_str(),
            checkpoint.is_open(),
            stream.map(|stream| stream.created.timestamp_micros()),
            stream.map(|stream| stream.last_sequence.cast_signed()),
            id,
            body,
            checkpoint.state.is_in_place(),
        ])?;
    Ok(())
}

pub(super) fn put_sent(connection: &Connection, file: FileId, sent: &SentPosition) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("update checkpoint set sent = ?2 where file_id = ?1")?;
    update.execute(params![file.get(), json(sent)?])?;
    Ok(())
}

pub(super) fn put_announced(connection: &Connection, announced: &Announced) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("insert or replace into announced values (?1, ?2, ?3)")?;
    let path = announced.path.as_deref().and_then(Path::to_str);
    insert.execute(params![announced.file.get(), path, announced.bytes.cast_signed()])?;
    Ok(())
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
