//! Reads the whole stream. Messages that were delivered and that the database lacks are published again, byte for byte.
//!
//! A durable of its own prevents that unread messages are purged. It needs no acknowledgements: a message that is lost shows
//! in the durable's sequences, and reading begins again behind the last one that was received.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::Stream;
use common::origin::Row;
use common::stream::{self, Chunk, HEAL, Reader};
use common::{FileId, Origin};
use serde::Deserialize;

use super::missing_rows::MissingRows;
use super::{Error, Progress, Sink, Snapshot};
use crate::map::Mapped;

/// How often in a row reading may fail, and the pause before it is tried again.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// After this time without a request, the server removes the durable: a healing that was killed, or waits for room, must
/// not prevent purging for ever. What is then purged is read from the files.
const INACTIVE: Duration = Duration::from_secs(30);

/// Sends what is missing, in the order of the stream, and counts what is still to be delivered.
pub(super) async fn republish(
    snapshot: &Snapshot,
    missing_rows: &mut MissingRows,
    sink: &Sink,
    progress: &Progress,
) -> Result<(), Error> {
    let info = snapshot.events.get_info().await.map_err(|error| Error::Inspect(error.into()))?;
    let now = stream::incarnation(&info);
    if now.created != snapshot.stream.created {
        return Err(Error::Lost);
    }
    let first = now.first_sequence.max(1);
    progress.expect((now.last_sequence + 1).saturating_sub(first));
    let mut reader = reader(snapshot.events.clone(), first, now.last_sequence);
    while let Some(Chunk { messages, .. }) = read(&mut reader).await? {
        let read = messages.len();
        let missing: Vec<Mapped> = messages
            .into_iter()
            .filter(|(sequence, message)| is_missing(message, *sequence <= snapshot.delivered, missing_rows))
            .map(|(_, message)| again(message))
            .collect();
        progress.note(read, missing.len());
        sink.send(missing).await?;
    }
    // What follows needs room in the stream, and reads nothing more of it.
    remove_durable(&snapshot.events).await;
    Ok(())
}

/// Removes the durable of this healing, or of one that was killed.
pub(super) async fn remove_durable(events: &Stream) {
    if let Err(error) = events.delete_consumer(HEAL).await {
        tracing::debug!(%error, "there was no durable {HEAL} to remove");
    }
}

#[derive(Debug, Deserialize)]
struct FileTotals {
    file_id: FileId,
    revision: i64,
    rows_read: Row,
}

/// Whether the database lacks the message. One that was not `delivered` still will be; one without an origin belongs to no
/// file.
fn is_missing(message: &Message, delivered: bool, missing_rows: &mut MissingRows) -> bool {
    if message.subject.as_str() == stream::FILE {
        return match serde_json::from_slice(&message.payload) {
            Ok(FileTotals { file_id, revision, rows_read }) if delivered => {
                missing_rows.lacks_totals(file_id, revision, rows_read)
            }
            Ok(FileTotals { file_id, revision, rows_read }) => {
                missing_rows.announced(file_id, revision, rows_read);
                false
            }
            Err(_) => false,
        };
    }
    match serde_json::from_slice::<Origin>(&message.payload) {
        Ok(origin) if delivered => missing_rows.take_from_stream(origin),
        Ok(origin) => {
            missing_rows.in_flight(origin);
            false
        }
        Err(_) => false,
    }
}

fn again(message: Message) -> Mapped {
    let message = message.message;
    Mapped { subject: message.subject, payload: message.payload, rejected: None }
}

fn reader(events: Stream, next: u64, last: u64) -> Reader {
    let config = pull::Config {
        durable_name: Some(HEAL.to_owned()),
        description: Some("looks for rows that the database lacks".to_owned()),
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        ..pull::Config::default()
    };
    Reader::new(events, config, next, last)
}

/// The next messages, or an error after several failures in a row.
async fn read(reader: &mut Reader) -> Result<Option<Chunk>, Error> {
    for _ in 1..TRIES {
        match reader.read().await {
            Ok(chunk) => return Ok(chunk),
            Err(error) => tracing::debug!(error, sequence = reader.next(), "reading the stream again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    let next = reader.next();
    reader.read().await.map_err(|source| Error::Read { sequence: next.unwrap_or_default(), source })
}
