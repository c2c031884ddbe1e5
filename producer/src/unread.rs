//! Detects that consumers have read everything. Files that are not closed by then may never be: a database that was put
//! back to an older state has lost their totals, and the stream may not have them any more.

use std::time::Duration;

use common::nats::Nats;
use common::stream;
use tokio::sync::mpsc;

use crate::tailer_message::TailerMessage;

/// Checks at each `interval`, and sends a message to the tailer whenever nothing was unread at two checks in a row, until the task is
/// dropped. Errors are not logged: other tasks ask the same broker.
pub(crate) async fn watch(nats: Nats, interval: Duration, tailer: mpsc::Sender<TailerMessage>) {
    let mut was_read = false;
    loop {
        tokio::time::sleep(interval).await;
        let status = stream::status(&nats.jetstream).await;
        let is_read = matches!(status, Ok(Some(status)) if status.unread() == 0);
        if is_read && was_read && tailer.send(TailerMessage::NothingUnread).await.is_err() {
            return;
        }
        was_read = is_read;
    }
}
