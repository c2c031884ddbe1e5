//! Checkpoints that were lost: what the stream still says of their files. Accounts enter, and leave into the new store.
//!
//! A file that the stream says is open, or that is finished and not in the archive, is read again under the id that it
//! had, so that its rows are recognised. Of all others nobody knows whether what stands under their name is still the
//! same file; it gets a new id, and rows of it that are in the tables become duplicates. The bucket of closed files does
//! not help: an entry is there, or is not, on both sides of the moment at which a file is put away.

use std::collections::HashMap;
use std::path::PathBuf;

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use common::FileId;
use common::config::{Config, OnClose};
use common::stream;
use common::wire::{FileMessage, FileState};

use crate::archive;
use crate::checkpoint::{self, Announced, Store};

/// Reads the accounts of all files that the stream has. Where it cannot be read, nothing is known.
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
                tracing::error!(%error, "the accounts in the stream cannot be read; rows that are read again become duplicates");
                break;
            }
        };
        sequence = message.sequence + 1;
        let Ok(account) = serde_json::from_slice::<FileMessage>(&message.payload) else { continue };
        let before = latest.get(&account.file_id).map_or(i64::MIN, |before| before.revision);
        if account.revision >= before {
            latest.insert(account.file_id, account);
        }
    }
    let announced: Vec<Announced> = latest.into_values().map(|account| announced(account, config)).collect();
    let known = announced.iter().filter(|one| one.path.is_some()).count();
    tracing::warn!(
        files = announced.len(),
        known,
        "the stream was read for files whose checkpoints are lost"
    );
    store.recovered(&announced)
}

fn announced(account: FileMessage, config: &Config) -> Announced {
    let path = PathBuf::from(account.path);
    let is_archived = || archive::archived_path(&config.archive_dir(), &path, account.file_id).exists();
    let may_be_there = match account.state {
        FileState::Open => true,
        FileState::Finished => config.tail.on_close != OnClose::Delete && !is_archived(),
        FileState::Truncated => false,
    };
    let bytes = u64::try_from(account.bytes).unwrap_or_default();
    Announced { file: account.file_id, path: may_be_there.then_some(path), bytes }
}
