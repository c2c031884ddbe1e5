use bytes::Bytes;
use chrono::DateTime;
use common::{FileId, Origin};

use super::*;

const EVENT: &str = r#"{"v":1,"file_id":7,"row":3,"written_us":9,"event_id":"00000000-0000-0000-0000-000000000001","event_type":"view","event_timestamp":"2024-03-13T10:21:14Z","customer_name":"a\tb\\c\nd\r","price":"19.99","attributes":{"k":"v\n"}}"#;

fn decoded(subject: &'static str, body: &str) -> Result<Decoded, NewerVersion> {
    let message = Message {
        position: StreamPosition { stream_created: DateTime::UNIX_EPOCH, sequence: 42 },
        reply: None,
        subject: subject.into(),
        payload: Bytes::copy_from_slice(body.as_bytes()),
        fetched_us: 0,
    };
    decode(message).map(|delivery| delivery.decoded)
}

fn corrupt(subject: &'static str, body: &str) -> Corrupt {
    match decoded(subject, body).unwrap() {
        Decoded::Corrupt(record) => *record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_becomes_one_line_of_copy() {
    let Decoded::Event(row) = decoded("events.view", EVENT).unwrap() else { panic!("no event") };
    assert_eq!(
        std::str::from_utf8(&row.line).unwrap(),
        "00000000-0000-0000-0000-000000000001\tview\t2024-03-13T10:21:14Z\t\\N\ta\\tb\\\\c\\nd\\r\t\\N\t\\N\t\\N\t\\N\
         \t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t19.99\t\\N\t\\N\t{\"k\":\"v\\\\n\"}\t7\t3\t\\N\t"
    );
    assert_eq!(row.event_timestamp(), Some("2024-03-13T10:21:14Z".parse().unwrap()));
    let fields: Vec<_> = row.fields().collect();
    assert_eq!(fields.len(), 22);
    assert_eq!((fields[4].0, fields[4].1.as_deref()), ("customer_name", Some("a\tb\\c\nd\r")));
    assert_eq!((fields[20].0, fields[20].1.as_deref()), ("source_row", Some("3")));
}

#[test]
fn rule_versions_are_said() {
    for body in [EVENT.replace("\"v\":1", "\"v\":2"), r#"{"v":2,"new":"shape"}"#.to_owned()] {
        let error = decoded("events.view", &body).unwrap_err();
        assert_eq!((error.found, error.sequence), (2, 42));
    }
}

#[test]
fn rule_versions_are_said_of_every_kind_of_message() {
    let reject = r#"{"v":2,"file_id":7,"row":3,"written_us":0,"byte_start":0,"byte_end":1,"reason":"bad_price","message":"m","raw":"eA==","truncated":false}"#;
    let totals = r#"{"v":2,"file_id":7,"revision":1,"path":"a.csv","source":"s","bytes":1,"state":"open","rows_read":0,"published":0,"rejected":0}"#;
    for (subject, body) in [(stream::REJECTED, reject), (stream::FILE, totals)] {
        let error = decoded(subject, body).unwrap_err();
        assert_eq!((error.found, error.sequence), (2, 42), "{subject}");
        let known = decoded(subject, &body.replace("\"v\":2", "\"v\":1")).unwrap();
        assert!(!matches!(known, Decoded::Corrupt(record) if record.stage == Stage::Decode), "{subject}");
    }
}

#[test]
fn a_broken_message_is_kept_under_its_origin_where_it_says_one() {
    let record = corrupt("events.view", &EVENT.replace("2024-03-13T", "2024-13-13T"));
    assert_eq!(record.origin, Some(Origin { file: FileId::from(7), row: 3 }));
    assert_eq!((record.reason, record.column.as_deref()), (Reason::BadTimestamp, Some("event_timestamp")));

    let record = corrupt("events.view", &EVENT.replace(r"a\tb", r"a\u0000b"));
    assert_eq!((record.reason, record.column.as_deref()), (Reason::NulCharacter, Some("customer_name")));
    assert!(!record.value.unwrap().contains('\0'));
}

#[test]
fn a_message_without_origin_is_told_from_one_that_is_no_message_at_all() {
    assert_eq!(corrupt("events.view", r#"{"v":1,"event_type":"view"}"#).reason, Reason::NoOrigin);
    for garbage in ["", "not json", r#"{"event_type":"view"}"#] {
        let record = corrupt("events.view", garbage);
        assert_eq!((record.reason, record.origin), (Reason::UndecodableMessage, None), "{garbage}");
        assert_eq!(record.raw, garbage.as_bytes());
    }
}

#[test]
fn a_reject_keeps_what_the_producer_found_and_a_nul_in_it_is_shown() {
    let body = r#"{"v":1,"file_id":7,"row":3,"written_us":0,"byte_start":10,"byte_end":15,"reason":"bad_price","message":"bad \u0000","column":"price","value":"1\u0000","raw":"eA==","truncated":false}"#;
    let record = corrupt(stream::REJECTED, body);
    assert_eq!((record.stage, record.reason), (Stage::Producer, Reason::BadPrice));
    assert_eq!((record.message.as_str(), record.value.as_deref()), ("bad \u{2400}", Some("1\u{2400}")));
    assert_eq!((record.column.as_deref(), record.span), (Some("price"), Some((10, 15))));
}

#[test]
fn totals_that_postgresql_cannot_store_are_kept_as_a_corrupt_record() {
    let body = r#"{"v":1,"file_id":7,"revision":1,"path":"a.csv","source":"s","delimiter":";","header":["id"],"bytes":1,"state":"open","rows_read":0,"published":0,"rejected":0}"#;
    assert!(matches!(decoded(stream::FILE, body).unwrap(), Decoded::Totals(_)));
    for (part, with_nul) in [
        ("a.csv", r"a\u0000"),
        (r#""s""#, r#""\u0000""#),
        (r#"";""#, r#""\u0000""#),
        (r#"["id"]"#, r#"["id\u0000"]"#),
    ] {
        let record = corrupt(stream::FILE, &body.replace(part, with_nul));
        assert!(record.message.contains("holds a NUL character"), "{part}: {}", record.message);
    }
}

#[test]
fn a_row_without_its_values_keeps_only_what_every_event_has() {
    let Decoded::Event(row) = decoded("events.view", EVENT).unwrap() else { panic!("no event") };
    let bare = row.without_values();
    let left: Vec<_> = bare.fields().filter_map(|(name, value)| Some((name, value?.into_owned()))).collect();
    let expected = [
        ("event_id", "00000000-0000-0000-0000-000000000001"),
        ("event_type", "view"),
        ("event_timestamp", "2024-03-13T10:21:14Z"),
        ("file_id", "7"),
        ("source_row", "3"),
    ];
    assert_eq!(left, expected.map(|(name, value)| (name, value.to_owned())));
}
