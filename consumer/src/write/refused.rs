//! A row that PostgreSQL refuses, as a record for `corrupt_records`.

use std::borrow::Cow;

use common::Origin;
use common::event::Reason;
use common::wire::VERSION;
use serde_json::Value;
use sqlx::postgres::PgDatabaseError;

use crate::decode::{Corrupt, Row, Stage};

/// `error` is that of this row alone.
pub(super) fn record(row: &Row, error: &sqlx::Error) -> Corrupt {
    let server = match error {
        sqlx::Error::Database(database) => database.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    };
    let column = server.and_then(column);
    let value = row.fields().find(|(name, _)| Some(*name) == column).and_then(|(_, value)| value);
    Corrupt {
        origin: Some(row.origin),
        span: None,
        stage: Stage::Database,
        reason: Reason::RefusedByDatabase,
        message: server.map_or_else(|| error.to_string(), |server| server.message().to_owned()),
        column: column.map(str::to_owned),
        value: value.map(Cow::into_owned),
        raw: as_message(row).into_bytes(),
        truncated: false,
        position: row.position,
        replaces: row.replaces.as_deref().copied(),
    }
}

/// The column at fault: in the error itself for a missing value, in the constraint's name for a check, in the
/// context (`COPY incoming, line 1, column price: "x"`) for a value of the wrong type.
fn column(error: &PgDatabaseError) -> Option<&str> {
    let of_check = || error.constraint()?.strip_prefix("events_")?.strip_suffix("_check");
    let of_context = || Some(error.r#where()?.split_once(", column ")?.1.split([':', ',']).next()?.trim());
    error.column().or_else(of_check).or_else(of_context)
}

/// The message that brought the row, rebuilt from the row, so that it can be corrected and sent again.
fn as_message(row: &Row) -> String {
    let mut message = format!(
        "{{\"v\":{VERSION},\"file_id\":{},\"row\":{},\"written_us\":{}",
        row.origin.file, row.origin.row, row.written_us
    );
    if let Some(Origin { file, row }) = row.replaces.as_deref() {
        let replaces = format!(",\"replaces\":{{\"file_id\":{file},\"row\":{row}}}");
        message.push_str(&replaces);
    }
    for (name, value) in row.fields() {
        let Some(value) = value else { continue };
        let json = match name {
            "file_id" | "source_row" => continue,
            "attributes" => value.into_owned(),
            _ => Value::from(value.into_owned()).to_string(),
        };
        message.extend([",\"", name, "\":", &json]);
    }
    message.push('}');
    message
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use common::stream::StreamPosition;
    use common::wire::EventMessage;

    use super::as_message;
    use crate::decode::{Decoded, decode};
    use crate::fetch::Message;

    #[test]
    fn a_refused_row_is_kept_as_the_message_that_brought_it() {
        let body = r#"{"v":1,"file_id":7,"row":3,"written_us":9,"event_id":"00000000-0000-0000-0000-000000000001","source_event_id":"e-1","event_type":"view","event_timestamp":"2024-03-13T10:21:14Z","customer_name":"a\tb\\c\n\"d\"","price":"1e99","replaces":{"file_id":5,"row":2},"attributes":{"k":1.10}}"#;
        let delivery = decode(Message {
            position: StreamPosition::default(),
            reply: None,
            subject: "events.view".into(),
            payload: Bytes::from(body),
            fetched_us: 0,
        });
        let Decoded::Event(row) = delivery.unwrap().decoded else { panic!("no event") };
        let made_again = as_message(&row);
        let event: EventMessage<'_> = serde_json::from_str(&made_again).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), body);
    }
}
