//! What the stream still has of files whose checkpoints were lost. Totals enter, and leave into the new store.
//!
//! A file that is open according to its totals, or finished and not in the archive, is read again under the same id, so
//! that its rows are recognised. Of all others it is unknown whether the file of that name is still the same one: it gets a
//! new id, and its rows that are in the tables become duplicates. The bucket of closed files does not help, since a file is
//! put away at some time between two states of its entry.

use std::collections::HashMap;
use std::path::PathBuf;

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use common::FileId;
use common::config::{Config, OnClose};
use common::stream;
use common::wire::{FileMessage, FileState};

use crate::archive;
use crate::checkpoint::{self, Announced, Store};

/// Reads the totals of all files from the stream. If it cannot be read, all files get new ids.
pub(crate) async fn rebuild(
    store: &Store,
    events: &Stream,
    config: &Config,
) -> Result<(), checkpoint::Error> {
    let mut latest = HashMap::<FileId, FileMessage>::new();
    let mut sequence = 1;
    loop {
        let message = match events.get_first_raw_message_by_subject(stream::FILE, sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => break,
            Err(error) => {
                tracing::error!(%error, "the totals in the stream cannot be read; rows that are read again become duplicates");
                break;
            }
        };
        sequence = message.sequence + 1;
        let Ok(totals) = serde_json::from_slice::<FileMessage>(&message.payload) else { continue };
        let before = latest.get(&totals.file_id).map_or(i64::MIN, |before| before.revision);
        if totals.revision >= before {
            latest.insert(totals.file_id, totals);
        }
    }
    let announced: Vec<Announced> = latest.into_values().map(|totals| announced(totals, config)).collect();
    let known = announced.iter().filter(|one| one.path.is_some()).count();
    tracing::warn!(
        files = announced.len(),
        known,
        "the stream was read for files whose checkpoints are lost"
    );
    store.recovered(&announced)
}

fn announced(totals: FileMessage, config: &Config) -> Announced {
    let path = PathBuf::from(totals.path);
    let is_archived = || archive::archived_path(&config.archive_dir(), &path, totals.file_id).exists();
    let may_be_there = match totals.state {
        FileState::Open => true,
        FileState::Finished => config.tail.on_close != OnClose::Delete && !is_archived(),
        FileState::Truncated => false,
    };
    let bytes = u64::try_from(totals.bytes).unwrap_or_default();
    Announced { file: totals.file_id, path: may_be_there.then_some(path), bytes }
}
