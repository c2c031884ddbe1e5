//! Ids that are not those of events, and columns without a name of their own.

use std::fmt::Write as _;

use serde_json::json;

use crate::bed::Bed;

/// A file whose `column` counts from 1, as a daily export does.
fn counted(column: &str, customer: &str) -> String {
    (1..=200).fold(format!("{column},event,time,user_id\n"), |mut text, number| {
        writeln!(text, "{number},view,2024-03-13 10:21:14,{customer} {number}").unwrap();
        text
    })
}

#[tokio::test]
async fn rule_ids_have_a_scope_and_a_number_that_is_only_called_id_is_none() {
    let bed = Bed::new();
    bed.write("in/monday.csv", counted("id", "m"));
    bed.write("in/tuesday.csv", counted("id", "t"));
    let ended = bed.run(&["up", "--once", "--input", "in", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let total = json!({ "rows_read": 400, "events": 400, "duplicates": 0, "corrupt_records": 0 });
    assert_eq!(ended.json()["total"], total);
    assert_eq!(bed.sql("select attributes ->> 'id' from events where customer_id = 't 7'").await, "7");
}

#[tokio::test]
async fn rule_doubtful_ids_are_said_in_report_log_and_status() {
    let bed = Bed::new();
    bed.write("in/monday.csv", counted("event_id", "m"));
    let ended = bed.run(&["up", "--once", "--input", "in"]).await;
    assert!(ended.code == Some(0) && !ended.out.contains("doubtful ids"), "{ended:?}");
    bed.write("in/tuesday.csv", counted("event_id", "t"));
    let ended = bed.run(&["up", "--once", "--input", "in"]).await;
    let line = "doubtful ids: 200 of 200 rows of in/tuesday.csv have the id of another row and other content\nsuch rows";
    assert!(ended.out.contains(line), "{ended:?}");
    let logged = "rows have the id of another row and other content, and are duplicates";
    assert!(ended.err.contains(logged) && ended.err.contains("differing=200"), "{ended:?}");
    for command in ["status", "verify"] {
        let ended = bed.run(&[command]).await;
        assert!(ended.code == Some(0) && ended.out.contains(line), "{ended:?}");
    }
    let status = bed.run(&["status", "--json"]).await.json();
    assert_eq!(status["doubtful_ids"][0]["differing_duplicates"], 200, "{status}");
    let check = bed.run(&["producer", "check", "in/monday.csv", "in/tuesday.csv"]).await;
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.out.contains("200 rows have the id of an earlier row, 200 of them with other content"));

    // What it recommends loads every row.
    bed.write("millrace.toml", "[[source]]\nname = \"daily\"\nfiles = \"*\"\nid_scope = \"file\"\n");
    let check = bed.run(&["producer", "check", "in/monday.csv", "in/tuesday.csv"]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    let ended = bed.run(&["up", "--once", "--input", "in", "--fresh", "--json"]).await;
    assert_eq!(ended.json()["total"]["events"], 400, "{ended:?}");
    // An id that several events have is not one of them.
    let explained = bed.run(&["explain", "7"]).await;
    assert_eq!(explained.code, Some(1), "{explained:?}");
    assert!(explained.out.starts_with("2 events are called 7; write one of these:\n"), "{explained:?}");
    let id = bed.sql("select event_id from events where customer_id = 't 7'").await;
    assert!(explained.out.contains(&id), "{explained:?}");
}

#[tokio::test]
async fn columns_without_a_name_of_their_own_are_kept_and_said() {
    let bed = Bed::new();
    bed.write("in/a.csv", "event,time,note,,note\nview,2024-03-13 10:21:14,a,b,c\n");
    let ended = bed.run(&["up", "--once", "--input", "in"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = "column 4 is called \"column_4\", column 5 is called \"note_2\"";
    assert!(ended.err.contains(said), "{ended:?}");
    let kept = "select attributes ->> 'note', attributes ->> 'column_4', attributes ->> 'note_2' from events";
    assert_eq!(bed.sql(kept).await, "a|b|c");
    let check = bed.run(&["producer", "check", "in/a.csv"]).await;
    assert!(check.code == Some(0) && check.out.contains(said), "{check:?}");
}

#[tokio::test]
async fn a_file_whose_lines_end_in_cr_only_is_parked_with_what_to_do() {
    let bed = Bed::new();
    bed.write("in/a.csv", "event,time\rview,2024-03-13 10:21:14\rview,2024-03-13 10:21:15\r");
    let ended = bed.run(&["up", "--once", "--input", "in"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("parked: in/a.csv: the first line is no header"), "{ended:?}");
    assert!(ended.out.contains("end lines with LF or CRLF"), "{ended:?}");
    assert_eq!(bed.totals().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn an_alias_for_no_event_type_is_refused_and_so_is_an_id_that_is_none() {
    let bed = Bed::new();
    let source = |keys: &str| bed.write("millrace.toml", format!("[[source]]\nname = \"shop\"\n{keys}\n"));
    let alias = "[source.type_aliases]\nKauf = \"buyy\"";
    for (keys, said) in [
        (alias.to_owned(), "takes \"Kauf\" for \"buyy\", which is no event type; write one of view,"),
        (
            "event_id = false\n[source.columns]\nevent_id = \"nr\"".to_owned(),
            "event_id = false, but columns names a column for event_id; leave one of the two out",
        ),
    ] {
        source(&keys);
        let ended = bed.run(&["up", "--once"]).await;
        assert!(ended.code == Some(2) && ended.err.contains(said), "{ended:?}");
    }
    for types in ["types = [\"buyy\"]", "types = \"any\""] {
        source(&format!("{types}\n{alias}"));
        let ended = bed.run(&["up", "--print-config"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}
