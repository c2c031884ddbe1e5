//! A row that cannot become an event, and its message.

use async_nats::Subject;
use common::event::Reason;
use common::wire::{Bytes64, RejectMessage, VERSION};
use common::{Origin, stream};

use crate::map::{Mapped, RowDigest, RowPosition};

/// The longest sentence and the longest value that are sent, in characters. The row itself is not shortened.
const LONGEST_TEXT: usize = 1_000;

#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) reason: Reason,
    pub(super) column: Option<&'static str>,
    pub(super) value: Option<String>,
    pub(super) message: String,
    /// Set if only the beginning of the row was kept.
    pub(super) whole: Option<Box<RowDigest>>,
}

impl Rejection {
    /// Without a column.
    pub(super) fn of_row(reason: Reason, message: String) -> Self {
        Self { reason, column: None, value: None, message, whole: None }
    }

    /// The message for the row `raw`, which is cut if it would not fit `max_payload` in base64.
    pub(super) fn into_message(
        self,
        raw: &[u8],
        position: RowPosition,
        replaces: Option<Origin>,
        max_payload: usize,
    ) -> Mapped {
        let kept = &raw[..raw.len().min(max_payload / 2)];
        let cut = |text: String| text.chars().take(LONGEST_TEXT).collect::<String>();
        let whole = self.whole.or_else(|| (kept.len() < raw.len()).then(|| RowDigest::of(raw).into()));
        let message = match &whole {
            None => cut(self.message),
            Some(whole) => format!("{}; only the beginning is kept, of {whole}", cut(self.message)),
        };
        let body = RejectMessage {
            v: VERSION,
            file_id: position.file,
            row: position.row,
            written_us: position.written_us,
            byte_start: position.byte_start.cast_signed(),
            byte_end: position.byte_end.cast_signed(),
            reason: self.reason,
            message: message.clone(),
            column: self.column.map(str::to_owned),
            value: self.value.map(cut),
            raw: Bytes64(kept.to_vec()),
            truncated: whole.is_some(),
            replaces,
        };
        let payload = serde_json::to_vec(&body).unwrap_or_default().into();
        Mapped {
            subject: Subject::from_static(stream::REJECTED),
            payload,
            rejected: Some((self.reason, message)),
        }
    }
}
