use common::config::{Config, EventTypes, IdScope, Source};
use common::event::{ORIGIN_COLUMN, Reason};
use common::wire::RejectMessage;

use super::*;
use crate::csv::records::{Split, Splitter};
use crate::map::RowDigest;
use crate::map::time::TimeForm;

const HEADER: &str = "event_id,event_type,event_timestamp,user_id,price,user_agent,ip,note";

fn mapper(source: &Source, header: &str) -> Mapper {
    let header = header.split(',').map(str::to_owned).collect();
    Mapper::new(Mapping::resolve(&Config::default(), source, b',', header).unwrap(), 1 << 20)
}

fn map_with(mapper: &mut Mapper, raw: &[u8]) -> Mapped {
    let mut fields = Vec::new();
    let splitter = Splitter { delimiter: b',', comment: None };
    let Split::Record { end, next } = splitter.split(raw, true, &mut fields) else { panic!("no record") };
    let position =
        RowPosition { file: FileId::from(7), row: 1, byte_start: 0, byte_end: next as u64, written_us: 5 };
    mapper.map(&raw[..end], &fields, position)
}

fn map(line: &str) -> Mapped {
    map_with(&mut mapper(&Source::default(), HEADER), line.as_bytes())
}

fn json(mapped: &Mapped) -> serde_json::Value {
    serde_json::from_slice(&mapped.payload).unwrap()
}

#[test]
fn a_good_row_becomes_an_event_with_its_origin() {
    let mapped = map(
        "00000000-0000-4000-8000-000000000001,view,2024-03-13 10:21:14,u1,19.99,Mozilla/5.0 (iPhone) Mobile,::1,\"a, \"\"b\"\"\"",
    );
    assert_eq!(mapped.subject.as_str(), "events.view");
    assert_eq!(
        json(&mapped),
        serde_json::json!({
            "v": 1, "file_id": 7, "row": 1, "written_us": 5,
            "event_id": "00000000-0000-4000-8000-000000000001", "event_type": "view",
            "event_timestamp": "2024-03-13T10:21:14Z", "customer_id": "u1",
            "user_agent": "Mozilla/5.0 (iPhone) Mobile", "ip_address": "::1", "price": "19.99",
            "price_category": "Low", "device_type": "Mobile", "attributes": {"note": "a, \"b\""}
        })
    );
}

#[test]
fn each_kind_of_bad_row_is_rejected_with_column_and_value() {
    let id = "00000000-0000-4000-8000-000000000001";
    let time = "2024-03-13 10:21:14";
    for (line, reason, said) in [
        (format!("{id},view,{time}"), "too_few_fields", "3 fields where the header has 8"),
        (format!("{id},view,{time},u,1,a,::1,n,more"), "too_many_fields", "9 fields where the header has 8"),
        (
            format!("{id},dance,{time},u,1,a,::1,n"),
            "unknown_event_type",
            "column event_type: \"dance\" is no known",
        ),
        (
            format!("{id},view,soon,u,1,a,::1,n"),
            "bad_timestamp",
            "column event_timestamp: \"soon\" is no time",
        ),
        (format!("{id},view,,u,1,a,::1,n"), "missing_value", "column event_timestamp: \"\" is empty"),
        (format!(",view,{time},u,1,a,::1,n"), "missing_value", "column event_id: \"\" is empty"),
        (
            format!("{id},view,{time},u,-5.00,a,::1,n"),
            "negative_price",
            "column price: \"-5.00\" is negative",
        ),
        (format!("{id},view,{time},u,abc,a,::1,n"), "bad_price", "column price: \"abc\" is not a decimal"),
        (format!("{id},view,{time},u,1,a,1.2.3,n"), "bad_ip_address", "column ip: \"1.2.3\" is no IPv4"),
        (format!("{id},view,{time},u\0,1,a,::1,n"), "nul_character", "NUL"),
        (
            format!("{id},view,{time},{},1,a,::1,n", "é".repeat(1_301)),
            "value_too_long",
            "column user_id: \"éééééééééééééééééééééééééééééééééééééééé\" … has 2602 bytes; this column is indexed and takes 2600",
        ),
    ] {
        let mapped = map(&line);
        assert_eq!(mapped.subject.as_str(), "ledger.rejected", "{line}");
        let body: RejectMessage = serde_json::from_slice(&mapped.payload).unwrap();
        assert_eq!(body.reason.to_string(), reason, "{line}");
        assert!(body.message.contains(said), "{}", body.message);
        assert_eq!((body.raw.0.as_slice(), body.truncated), (line.as_bytes(), false));
    }
}

#[test]
fn an_address_is_sent_as_it_was_checked() {
    let mapped =
        map("00000000-0000-4000-8000-000000000001,view,2024-03-13 10:21:14,u,1, 10.0.0.1 ,10.0.0.1 ,n");
    assert_eq!(json(&mapped)["ip_address"], "10.0.0.1");
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let mapped = map_with(&mut mapper(&Source::default(), HEADER), b"x,view,\xff,,,,,");
    let body: RejectMessage = serde_json::from_slice(&mapped.payload).unwrap();
    assert_eq!((body.reason, &body.raw.0[..]), (Reason::NotUtf8, &b"x,view,\xff,,,,,"[..]));
    assert_eq!(body.message, "byte 8 of the row is not UTF-8");
}

#[test]
fn what_is_as_long_as_its_limit_is_an_event() {
    let mapped = map(&format!("id,view,2024-03-13 10:21:14,{},1,a,::1,n", "é".repeat(1_300)));
    assert!(mapped.rejected.is_none());
    let mut rows = mapper(&Source::default(), "event_type,ts");
    let length = map_with(&mut rows, b"view,1710325274").payload.len();
    for (max_payload, is_event) in [(length, true), (length - 1, false)] {
        rows.max_payload = max_payload;
        assert_eq!(map_with(&mut rows, b"view,1710325274").rejected.is_none(), is_event, "{max_payload}");
    }
}

#[test]
fn columns_that_map_to_nothing_are_kept_together() {
    let mut rows = mapper(&Source::default(), "event_type,ts,shoe,size,colour");
    let mapped = map_with(&mut rows, b"view,1710325274,boot,,red");
    assert_eq!(json(&mapped)["attributes"], serde_json::json!({"shoe": "boot", "colour": "red"}));
}

#[test]
fn columns_of_one_name_or_of_none_are_all_kept() {
    let mut rows = mapper(&Source::default(), "event_type,ts,note,,note");
    let mapped = map_with(&mut rows, b"view,1710325274,a,b,c");
    let kept = serde_json::json!({"note": "a", "column_4": "b", "note_2": "c"});
    assert_eq!(json(&mapped)["attributes"], kept);
}

#[test]
fn a_mended_row_has_the_id_that_its_own_file_gives() {
    let source = Source { id_scope: IdScope::File, ..Source::default() };
    let line = "order-7,view,2024-03-13 10:21:14,u,,,,";
    let event = json(&map_with(&mut mapper(&source, HEADER), line.as_bytes()));
    let mut edited = mapper(&source, &format!("{ORIGIN_COLUMN},{HEADER}"));
    let of_file = |edited: &mut Mapper, file| {
        json(&map_with(edited, format!("{file}:3,{line}").as_bytes()))["event_id"].clone()
    };
    assert_eq!(of_file(&mut edited, 7), event["event_id"]);
    assert_ne!(of_file(&mut edited, 8), event["event_id"]);
}

#[test]
fn an_id_that_is_no_uuid_is_kept_and_hashed() {
    let body = json(&map("order-7,view,2024-03-13 10:21:14,u,,,,"));
    assert_eq!(body["source_event_id"], "order-7");
    assert_eq!(body["event_id"], json(&map("order-7,click,2024-03-13 10:21:15,w,,,,"))["event_id"]);
}

#[test]
fn a_file_without_ids_is_identified_by_its_rows_or_by_the_configured_columns() {
    let header = "event_type,event_timestamp,user_id,note";
    let id = |source: &Source, line: &str| {
        json(&map_with(&mut mapper(source, header), line.as_bytes()))["event_id"].clone()
    };
    let rows = Source::default();
    let one = "view,2024-03-13 10:21:14,u,a";
    let other = "view,2024-03-13 10:21:14,u,b";
    assert_eq!(id(&rows, one), id(&rows, one));
    assert_ne!(id(&rows, one), id(&rows, other));
    let id_from = vec!["customer_id".to_owned(), "event_timestamp".to_owned()];
    let parts = Source { id_from, ..Source::default() };
    assert_eq!(id(&parts, one), id(&parts, other));
}

#[test]
fn rule_key_parts_are_required() {
    let id_from = vec!["customer_id".to_owned(), "event_timestamp".to_owned()];
    let source = Source { id_from, ..Source::default() };
    let mut rows = mapper(&source, "event_type,event_timestamp,user_id,note");
    for lacking in ["view,2024-03-13 10:21:14,,a", "view,2024-03-13 10:21:14,\"  \",a"] {
        let mapped = map_with(&mut rows, lacking.as_bytes());
        let body: RejectMessage = serde_json::from_slice(&mapped.payload).unwrap();
        assert_eq!((body.reason, body.column.as_deref()), (Reason::MissingValue, Some("customer_id")));
        assert_eq!(body.raw.0, lacking.as_bytes());
        assert!(body.message.contains("column user_id") && body.message.contains("every row needs it"));
    }
    assert!(map_with(&mut rows, b"view,2024-03-13 10:21:14,u,").rejected.is_none(), "note is no part of it");
}

#[test]
fn the_unit_of_epochs_is_settled_by_the_first_row() {
    let mut rows = mapper(&Source::default(), "event_type,ts");
    let mapped = map_with(&mut rows, b"view,1710325274123");
    assert_eq!(json(&mapped)["event_timestamp"], "2024-03-13T10:21:14.123000Z");
    assert_eq!(rows.mapping().time_form, Some(TimeForm::Milliseconds));
    // It stays so for the rows that follow, until they are read again from the first one on.
    assert_eq!(
        json(&map_with(&mut rows, b"view,1710325274"))["event_timestamp"],
        "1970-01-20T19:05:25.274000Z"
    );
    rows.rewind();
    assert_eq!(json(&map_with(&mut rows, b"view,1710325274"))["event_timestamp"], "2024-03-13T10:21:14Z");
}

#[test]
fn any_type_goes_where_configured() {
    let source = Source { types: Some(EventTypes::Any), ..Source::default() };
    let mapped = map_with(&mut mapper(&source, "event_type,ts"), b"site search,1710325274");
    assert_eq!(mapped.subject.as_str(), "events.site_search");
    assert_eq!(json(&mapped)["event_type"], "site search");
}

#[test]
fn a_device_that_is_not_known_is_kept_as_an_attribute() {
    let mapped = map_with(&mut mapper(&Source::default(), "event_type,ts,device"), b"view,1710325274,tv");
    assert_eq!(json(&mapped)["attributes"], serde_json::json!({"device_type": "tv"}));
    assert_eq!(json(&mapped).get("device_type"), None);
}

#[test]
fn a_row_too_large_for_the_broker_is_rejected_with_its_beginning() {
    let mut rows = mapper(&Source::default(), "event_type,ts,note");
    rows.max_payload = 2_000;
    let line = format!("view,1710325274,{}", "x".repeat(5_000));
    let mapped = map_with(&mut rows, line.as_bytes());
    let body: RejectMessage = serde_json::from_slice(&mapped.payload).unwrap();
    assert_eq!((body.reason, body.truncated, body.raw.0.len()), (Reason::MessageTooLarge, true, 1_000));
    let whole = RowDigest::of(line.as_bytes());
    assert!(body.message.ends_with(&format!("only the beginning is kept, of {whole}")), "{}", body.message);
}

#[test]
fn a_corrected_row_is_the_event_that_it_would_have_been_and_names_what_it_replaces() {
    let header = "event_type,event_timestamp,user_id,note";
    let line = "view,2024-03-13 10:21:14,u,a";
    let edited_header = format!("{ORIGIN_COLUMN},{header}");
    let id_from = vec!["customer_id".to_owned(), "event_timestamp".to_owned()];
    for source in [Source::default(), Source { id_from, ..Source::default() }] {
        let event = json(&map_with(&mut mapper(&source, header), line.as_bytes()));
        let mut edited = mapper(&source, &edited_header);
        let mut mended = json(&map_with(&mut edited, format!("42:3,{line}").as_bytes()));
        let replaces = mended.as_object_mut().unwrap().remove("replaces");
        assert_eq!(replaces, Some(serde_json::json!({"file_id": 42, "row": 3})));
        assert_eq!(mended, event);
        // What is still wrong is described by the columns of the row's own file.
        let again = map_with(&mut edited, b"42:3,view,soon,u,a");
        let again: RejectMessage = serde_json::from_slice(&again.payload).unwrap();
        assert_eq!((again.reason, again.column.as_deref()), (Reason::BadTimestamp, Some("event_timestamp")));
        assert_eq!(again.replaces, Some("42:3".parse().unwrap()));
    }
}

#[test]
fn a_row_of_an_edited_file_that_does_not_say_what_it_replaces_is_rejected() {
    let mut edited = mapper(&Source::default(), &format!("{ORIGIN_COLUMN},event_type,ts"));
    let reject = |edited: &mut Mapper, line: &[u8]| -> RejectMessage {
        serde_json::from_slice(&map_with(edited, line).payload).unwrap()
    };
    let body = reject(&mut edited, b"row 3,view,1710325274");
    assert_eq!((body.reason, body.value.as_deref(), body.replaces), (Reason::BadOrigin, Some("row 3"), None));
    assert_eq!(body.message, "column millrace_origin: \"row 3\" is no origin, which is written FILE_ID:ROW");
    // Whatever else is wrong with a row, the rejected one is known.
    for line in [&b"42:3,view,1710325274,more"[..], b"42:3,view,\xff"] {
        assert_eq!(reject(&mut edited, line).replaces, Some("42:3".parse().unwrap()));
    }
}
