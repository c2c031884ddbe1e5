//! Turns a message into what is to be written: a [`Message`] enters, a [`Delivery`] leaves.
//!
//! A row is brought into its final form at once, so that the message's memory is free again; a message that cannot be
//! decoded becomes a corrupt record, under its row's origin where it has one.

mod corrupt;
mod row;

pub(crate) use corrupt::{Corrupt, Stage};
pub(crate) use row::Row;

use common::event::Reason;
use common::stream::{self, StreamPosition};
use common::wire::{EventMessage, FileMessage, RejectMessage, VERSION, VersionOnly};

use crate::fetch::{Message, Reply};

/// The stream holds a message that only a newer consumer understands.
#[derive(Debug, thiserror::Error)]
#[error(
    "message {sequence} of the stream has format version {found}, this build reads up to {VERSION}; upgrade the consumer"
)]
pub struct NewerVersion {
    pub found: u32,
    pub sequence: u64,
}

/// A decoded message.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) position: StreamPosition,
    pub(crate) reply: Option<Reply>,
    pub(crate) fetched_us: i64,
    pub(crate) decoded: Decoded,
}

/// What it is, by the table that it belongs to.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A row for `events`.
    Event(Row),
    /// A record for `corrupt_records`.
    Corrupt(Box<Corrupt>),
    /// Totals for `files`.
    Totals(Box<FileMessage>),
}

/// Decodes a message. Only a newer format is an error; everything else ends in a table.
pub(crate) fn decode(message: Message) -> Result<Delivery, NewerVersion> {
    let Message { position, reply, subject, payload, fetched_us } = message;
    let understood = match subject.as_str() {
        stream::REJECTED => rejected(&payload, position),
        stream::FILE => totals(&payload),
        _ => event(&payload, position),
    };
    let decoded = match understood {
        Ok((version, decoded)) => {
            newer(version, position)?;
            decoded
        }
        Err(fault) => {
            // The broken part may be what a newer version has changed.
            if let Ok(VersionOnly { v }) = serde_json::from_slice(&payload) {
                newer(v, position)?;
            }
            Decoded::Corrupt(Box::new(corrupt::of_message(&payload, position, fault)))
        }
    };
    Ok(Delivery { position, reply, fetched_us, decoded })
}

/// What is wrong with a message.
#[derive(Debug)]
pub(crate) struct Fault {
    reason: Reason,
    message: String,
    column: Option<&'static str>,
    value: Option<String>,
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        let message = format!("the message cannot be decoded: {error}");
        Self { reason: Reason::UndecodableMessage, message, column: None, value: None }
    }
}

fn event(payload: &[u8], position: StreamPosition) -> Result<(u32, Decoded), Fault> {
    let event: EventMessage<'_> = serde_json::from_slice(payload)?;
    Ok((event.v, Decoded::Event(Row::of(&event, position)?)))
}

fn rejected(payload: &[u8], position: StreamPosition) -> Result<(u32, Decoded), Fault> {
    let reject: RejectMessage = serde_json::from_slice(payload)?;
    Ok((reject.v, Decoded::Corrupt(Box::new(Corrupt::rejected(reject, position)))))
}

fn totals(payload: &[u8]) -> Result<(u32, Decoded), Fault> {
    let totals: FileMessage = serde_json::from_slice(payload)?;
    let texts = [&totals.path, &totals.source].into_iter().chain(&totals.header);
    if texts.into_iter().any(|text| text.contains('\0')) || totals.delimiter == Some('\0') {
        return Err(Fault {
            reason: Reason::NulCharacter,
            message: "the path, source or header of the file's totals holds a NUL character".to_owned(),
            column: None,
            value: None,
        });
    }
    Ok((totals.v, Decoded::Totals(Box::new(totals))))
}

fn newer(found: u32, position: StreamPosition) -> Result<(), NewerVersion> {
    if found > VERSION { Err(NewerVersion { found, sequence: position.sequence }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
