//! Reads the stream through. What consumers were given and the database lacks is published again, byte for byte.
//!
//! A durable of its own keeps what is still to be read from being purged. It needs no acknowledgements: a message that is
//! lost on its way shows in the durable's numbers, and reading begins again behind the last one that came.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::Stream;
use common::origin::Row;
use common::stream::{self, Chunk, HEAL, Reader};
use common::{FileId, Origin};
use serde::Deserialize;

use super::missing_rows::MissingRows;
use super::{Before, Error, Progress, Sink};
use crate::map::Mapped;

/// How often in a row reading may fail, and the pause before it is tried again.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);
/// A durable that nobody asks for so long goes away by itself: a killed healing must not hold back purging for ever,
/// nor may one that waits for room. What is purged then comes from the files.
const INACTIVE: Duration = Duration::from_secs(30);

/// Sends what is missing, in the order of the stream, and takes note of what comes by itself.
pub(super) async fn republish(
    before: &Before,
    missing_rows: &mut MissingRows,
    sink: &Sink,
    progress: &Progress,
) -> Result<(), Error> {
    let info = before.events.get_info().await.map_err(|error| Error::Look(error.into()))?;
    let now = stream::incarnation(&info);
    if now.created != before.stream.created {
        return Err(Error::Lost);
    }
    let first = now.first_sequence.max(1);
    progress.expect((now.last_sequence + 1).saturating_sub(first));
    let mut reader = reader(before.events.clone(), first, now.last_sequence);
    while let Some(Chunk { messages, .. }) = read(&mut reader).await? {
        let read = messages.len();
        let missing: Vec<Mapped> = messages
            .into_iter()
            .filter(|(sequence, message)| is_missing(message, *sequence <= before.delivered, missing_rows))
            .map(|(_, message)| again(message))
            .collect();
        progress.note(read, missing.len());
        sink.send(missing).await?;
    }
    // What follows needs room in the stream, and nothing more of it.
    remove_durable(&before.events).await;
    Ok(())
}

/// Takes away what this healing, or one that was killed, has left.
pub(super) async fn remove_durable(events: &Stream) {
    if let Err(error) = events.delete_consumer(HEAL).await {
        tracing::debug!(%error, "there was no durable {HEAL} to take away");
    }
}

/// An account, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Told {
    file_id: FileId,
    revision: i64,
    rows_read: Row,
}

/// Whether the database lacks what the message brings. One that was not `delivered` comes by itself; one that does not
/// say where it comes from belongs to no file.
fn is_missing(message: &Message, delivered: bool, missing_rows: &mut MissingRows) -> bool {
    if message.subject.as_str() == stream::FILE {
        return match serde_json::from_slice(&message.payload) {
            Ok(Told { file_id, revision, rows_read }) if delivered => {
                missing_rows.lacks_account(file_id, revision, rows_read)
            }
            Ok(Told { file_id, revision, rows_read }) => {
                missing_rows.announced(file_id, revision, rows_read);
                false
            }
            Err(_) => false,
        };
    }
    match serde_json::from_slice::<Origin>(&message.payload) {
        Ok(origin) if delivered => missing_rows.take_from_stream(origin),
        Ok(origin) => {
            missing_rows.comes(origin);
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
