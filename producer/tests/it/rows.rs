//! What becomes of the rows of a file: messages, each with its origin.

use std::fs;

use common::event::Reason;
use common::wire::FileState;

use crate::contents::sha256;
use crate::test_env::{HEADER, TestEnv, row, rows, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_is_published_row_by_row_between_two_totals() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    let text = "event_id,event_type,event_timestamp,customer_id,product_name,price,campaign\n\
        00000000-0000-0000-0000-000000000001,view,2024-03-13 10:21:14,c1,\"Lamp, \"\"Aura\"\"\",19.99,spring\n\
        order-77,cart,2024-03-13T12:21:14+02:00,c2,Chair,250,\n";
    env.land("a.csv", text);
    let totals = env.until_finished("a.csv", 2).await;
    tailer.drain().await;

    let contents = env.contents().await;
    let subjects: Vec<_> = contents.0.iter().map(|message| message.subject.as_str()).collect();
    assert_eq!(subjects, ["ledger.file", "events.view", "events.add_to_cart", "ledger.file"]);
    let [first, second] = &contents.events()[..] else { panic!("two events") };
    assert_eq!((first.file_id, first.row), (totals.file_id, 1));
    assert_eq!(first.event_id, uuid::Uuid::from_u128(1));
    assert_eq!(&*first.event_timestamp, "2024-03-13T10:21:14Z");
    assert_eq!(first.product_name.as_deref(), Some("Lamp, \"Aura\""));
    assert_eq!((first.price.as_deref(), first.price_category.as_deref()), (Some("19.99"), Some("Low")));
    assert_eq!(first.attributes.unwrap().get(), r#"{"campaign":"spring"}"#);
    assert_eq!((second.file_id, second.row), (totals.file_id, 2));
    assert_eq!(&*second.event_timestamp, "2024-03-13T10:21:14Z");
    assert_eq!(second.source_event_id.as_deref(), Some("order-77"));
    assert_eq!(second.price_category.as_deref(), Some("High"));
    assert_eq!(first.written_us, second.written_us);

    let [open, finished] = &contents.totals()[..] else { panic!("two totals") };
    assert_eq!((open.state, open.rows_read), (FileState::Open, 0));
    assert_eq!((finished.state, finished.published, finished.rejected), (FileState::Finished, 2, 0));
    assert!(finished.revision > open.revision);
    assert_eq!(finished.bytes, i64::try_from(text.len()).unwrap());
    assert_eq!(finished.source, "built-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_bytes_survive() {
    type Case = (&'static [u8], Reason, Option<&'static str>, Option<&'static str>);
    let env = TestEnv::start_with(|config| config.tail.max_record_bytes = 4 << 20).await;
    let long = "x".repeat(2 << 20);
    // What is wrong with each row: its reason, column and value.
    let cases: [Case; 9] = [
        (
            b"1,view,2024-03-13T10:21:14Z,c,\"two\nlines\",1.001",
            Reason::BadPrice,
            Some("price"),
            Some("1.001"),
        ),
        (b"2,view,2024-03-13T10:21:14Z,c,p,-5.00", Reason::NegativePrice, Some("price"), Some("-5.00")),
        (b"3,view,yesterday,c,p,1", Reason::BadTimestamp, Some("event_timestamp"), Some("yesterday")),
        (
            b"4,teleport,2024-03-13T10:21:14Z,c,p,1",
            Reason::UnknownEventType,
            Some("event_type"),
            Some("teleport"),
        ),
        (b"5,view,2024-03-13T10:21:14Z,c,p", Reason::TooFewFields, None, None),
        (b"6,view,2024-03-13T10:21:14Z,c,p,1,more", Reason::TooManyFields, None, None),
        (b"7,view,2024-03-13T10:21:14Z,nul \0 here,p,1", Reason::NulCharacter, None, None),
        (b"8,view,2024-03-13T10:21:14Z,Andr\xe9,p,1", Reason::NotUtf8, None, None),
        (b",view,2024-03-13T10:21:14Z,c,p,1", Reason::MissingValue, Some("event_id"), Some("")),
    ];
    let mut bytes = HEADER.as_bytes().to_vec();
    for (bad, ..) in &cases {
        bytes.extend_from_slice(bad);
        bytes.extend_from_slice(b"\n");
    }
    bytes.extend_from_slice(format!("{}99,view,2024-03-13T10:21:14Z,c,{long},1\n", row(98)).as_bytes());
    env.land("bad.csv", &bytes);
    let tailer = env.tail();
    let totals = env.until_finished("bad.csv", 11).await;
    assert_eq!((totals.published, totals.rejected), (1, 10));
    tailer.drain().await;

    let contents = env.contents().await;
    assert_eq!(contents.rows_of(totals.file_id), (1..=11).collect::<Vec<_>>());
    let mut rejects = contents.rejects();
    let oversized = rejects.pop().unwrap();
    for (number, (reject, (raw, reason, column, value))) in (1..).zip(rejects.iter().zip(&cases)) {
        assert_eq!((reject.row, reject.reason), (number, *reason), "{}", reject.message);
        assert_eq!((reject.column.as_deref(), reject.value.as_deref()), (*column, *value), "row {number}");
        assert_eq!((&reject.raw.0[..], reject.truncated), (*raw, false), "row {number}");
        let span = usize::try_from(reject.byte_start).unwrap()..usize::try_from(reject.byte_end).unwrap();
        assert_eq!(bytes[span].trim_ascii_end(), *raw, "the bytes of the span are those of row {number}");
    }
    // What the broker would not take is named by its span and its digest, and kept as far as it fits.
    assert_eq!((oversized.reason, oversized.row, oversized.truncated), (Reason::MessageTooLarge, 11, true));
    assert!(oversized.byte_end - oversized.byte_start > 2 << 20);
    let row = format!("99,view,2024-03-13T10:21:14Z,c,{long},1");
    let whole = format!("only the beginning is kept, of {} bytes with sha256 {}", row.len(), sha256(&row));
    assert!(oversized.message.ends_with(&whole), "{}", oversized.message);
    assert!(bytes[usize::try_from(oversized.byte_start).unwrap()..].starts_with(&oversized.raw.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_has_what_a_person_can_act_on() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", format!("{HEADER}1,view,2024-03-13T10:21:14Z,c,p,\"12,50\"\n"));
    env.until_finished("a.csv", 1).await;
    let contents = env.contents().await;
    assert_eq!(
        contents.rejects()[0].message,
        "column price: \"12,50\" is not a decimal number; for a decimal comma set decimal = \",\" in its [[source]]"
    );
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn appended_rows_follow_and_later_totals_replace_the_earlier_ones() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    let first = env.until_finished("a.csv", 3).await;
    env.append("a.csv", row(4) + &row(5));
    let second = env.until_finished("a.csv", 5).await;
    assert_eq!(first.file_id, second.file_id);
    assert!(second.revision > first.revision);
    tailer.drain().await;
    assert_eq!(env.contents().await.rows_of(first.file_id), [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_a_files_order_while_many_files_flow() {
    let env = TestEnv::start().await;
    for file in 0..40_u128 {
        env.land(&format!("{file:02}.csv"), rows(file * 1_000 + 1..=file * 1_000 + 100));
    }
    let tailer = env.tail();
    env.until_rows(4_000).await;
    tailer.drain().await;
    let contents = env.contents().await;
    assert_eq!(contents.files().len(), 40);
    for file in contents.files() {
        assert_eq!(contents.rows_of(file), (1..=100).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_cannot_be_mapped_parks_its_file_and_others_flow_on() {
    let env = TestEnv::start().await;
    env.land("odd.csv", "when,what\n2024-03-13,view\n");
    env.land("good.csv", rows(1..=2));
    let closing = env.close_all();
    let outcome = env.tail_once().end().await.unwrap();
    let [(path, why)] = &outcome.parked[..] else { panic!("one file is parked: {outcome:?}") };
    assert_eq!(*path, env.path("odd.csv"));
    assert!(
        why.contains("no column for event_type; expected one of") && why.contains("found when, what"),
        "{why}"
    );
    assert!(env.path("odd.csv").exists(), "a parked file stays where it is");
    assert_eq!(env.contents().await.rows().len(), 2);

    // Mended, it flows at the next look.
    let tailer = env.tail();
    fs::write(env.path("odd.csv"), "ts,event\n2024-03-13 00:00:00,view\n").unwrap();
    env.until_finished("odd.csv", 1).await;
    until("it is archived too", async || env.archived().len() == 2).await;
    assert!(tailer.drain().await.parked.is_empty());
    drop(closing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_section_maps_its_files_and_no_others() {
    let env = TestEnv::start_with(|config| {
        config.source = vec![common::config::Source {
            name: "shop".to_owned(),
            files: "shop_*".to_owned(),
            delimiter: Some(';'),
            decimal: ',',
            comment: Some('#'),
            columns: [("event_type", "aktion"), ("event_timestamp", "zeit"), ("price", "preis")]
                .map(|(column, name)| (column.to_owned(), name.to_owned()))
                .into(),
            type_aliases: [("kauf".to_owned(), "purchase".to_owned())].into(),
            time_zone: Some("Europe/Berlin".parse().unwrap()),
            ..common::config::Source::default()
        }];
    })
    .await;
    env.land("shop_1.csv", "# von gestern\nzeit;aktion;preis\n2024-03-13 10:21:14;kauf;12,50\n");
    env.land("other.csv", rows(1..=1));
    let tailer = env.tail();
    let totals = env.until_finished("shop_1.csv", 1).await;
    assert_eq!(totals.source, "shop");
    assert_eq!(env.until_finished("other.csv", 1).await.source, "built-in");
    tailer.drain().await;
    let contents = env.contents().await;
    let events = contents.events();
    let event = events.iter().find(|event| event.file_id == totals.file_id).unwrap();
    assert_eq!((&*event.event_type, &*event.event_timestamp), ("purchase", "2024-03-13T09:21:14Z"));
    assert_eq!(event.price.as_deref(), Some("12.50"));
}
