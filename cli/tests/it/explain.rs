//! The life of one row, on one screen.

use serde_json::{Value, json};

use crate::bed::{Bed, HEADER};

const FILES: [(&str, &[u8]); 2] = [
    (
        "in/a.csv",
        b"id-1,view,2024-03-13T10:21:14Z,c1,A thing,1.50\n\
          id-2,view,2024-03-13T10:21:14Z,c2,A thing,abc\n\
          \n\
          \"id-3\",view,2024-03-13T10:21:14Z,c3,\"A\nthing\",3.50\r\n\
          id-4,view,2024-03-13T10:21:14Z,c4,Andr\xe9,1\n\
          00000000-0000-4000-8000-000000000005,view,2024-03-13T10:21:14Z,c5,A thing,5\n",
    ),
    // Its first row is that of a.csv with another price.
    ("in/10:30.csv", b"id-1,view,2024-03-13T10:21:14Z,c1,A thing,1.60\n"),
];

/// Both files loaded, the first of them first.
async fn loaded() -> Bed {
    let bed = Bed::new();
    for (name, rows) in FILES {
        bed.write(name, [HEADER.as_bytes(), rows].concat());
        let ended = bed.run(&["up", "--once", "--input", "in"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    bed
}

async fn told(bed: &Bed, asked: &str) -> String {
    let ended = bed.run(&["explain", asked]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out
}

async fn story(bed: &Bed, asked: &str) -> Value {
    bed.run(&["explain", "--json", asked]).await.json()
}

/// Where a row stands in the first file.
fn span(row: &str) -> (usize, usize) {
    let file = [HEADER.as_bytes(), FILES[0].1].concat();
    let start = file.windows(row.len()).position(|found| found == row.as_bytes()).unwrap();
    (start, start + row.len())
}

#[tokio::test]
async fn an_event_is_told_with_its_file_its_batch_and_its_duplicates() {
    let bed = loaded().await;
    let text = told(&bed, "in/a.csv:1").await;
    let (start, end) = span("id-1,view,2024-03-13T10:21:14Z,c1,A thing,1.50\n");
    for line in [
        "row 1 of in/a.csv is an event".to_owned(),
        format!("row         1, bytes {start} to {end} of the file"),
        "text        id-1,view,2024-03-13T10:21:14Z,c1,A thing,1.50".to_owned(),
        "            price             1.50".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(text.contains("same id     row 1 of in/10:30.csv, a duplicate that differs, "), "{text}");
    let batch =
        bed.sql("select b.* from batches b join events using (batch_id) where customer_id = 'c1'").await;
    let batch: Vec<&str> = batch.split('|').collect();
    assert!(text.contains(&format!("batch       {} by {}, committed ", batch[0], batch[1])), "{text}");
    assert!(text.contains(&format!("messages {} to {} of the stream made ", batch[4], batch[5])), "{text}");

    let story = story(&bed, "in/a.csv:1").await;
    let event = &story["events"][0];
    assert_eq!((&story["fate"], &story["text"]["byte_start"]), (&json!("event"), &json!(start)));
    assert_eq!(
        (&event["columns"]["source_event_id"], &event["columns"]["price"]),
        (&json!("id-1"), &json!(1.5))
    );
    assert_eq!(
        (&event["same_id"][0]["file"], &event["same_id"][0]["differs"]),
        (&json!("in/10:30.csv"), &json!(true))
    );
    assert_eq!(event["batch"]["last_sequence"].to_string(), batch[5]);
    // By its ids, and by other names of its file.
    let [by_id, file_id] = [&event["event_id"], &story["file"]["file_id"]];
    for asked in [by_id.as_str().unwrap(), "id-1", "a.csv:1", "./in/a.csv:1", &format!("{file_id}:1")] {
        assert_eq!(told(&bed, asked).await, text, "{asked}");
    }
    let quoted = told(&bed, "a.csv:3").await;
    assert!(quoted.contains("\"id-3\",view,2024-03-13T10:21:14Z,c3,\"A\\nthing\",3.50\n"), "{quoted}");
    let (start, end) = span("\"id-3\",view,2024-03-13T10:21:14Z,c3,\"A\nthing\",3.50\r\n");
    assert!(quoted.contains(&format!("bytes {start} to {end} of the file")), "{quoted}");
}

#[tokio::test]
async fn a_duplicate_names_its_event_and_a_rejected_row_what_is_wrong() {
    let bed = loaded().await;
    let duplicate = told(&bed, "10:30.csv:1").await;
    assert!(
        duplicate.starts_with("row 1 of in/10:30.csv is a duplicate of row 1 of in/a.csv\n"),
        "{duplicate}"
    );
    assert!(duplicate.contains("it says something else than its event"), "{duplicate}");
    assert!(duplicate.contains("row 1 of in/a.csv, the event, "), "{duplicate}");

    let rejected = told(&bed, "a.csv:2").await;
    assert!(rejected.starts_with("row 2 of in/a.csv was rejected\n"), "{rejected}");
    let why = "when the file was read: column price: \"abc\" is not a decimal number (bad_price)";
    assert!(rejected.contains(why), "{rejected}");
    assert!(rejected.contains("id-2,view,2024-03-13T10:21:14Z,c2,A thing,abc\n"), "{rejected}");
    // Bytes that are no text are shown all the same.
    assert!(told(&bed, "a.csv:4").await.contains(",c4,Andr\\xE9,1\n"));
    let story = story(&bed, "a.csv:4").await;
    assert_eq!(
        (&story["fate"], &story["corrupt_records"][0]["reason"]),
        (&json!("rejected"), &json!("not_utf8"))
    );

    let (file, row) =
        ("update corrupt_records set closed_at = now(), replaced_by_file_id", "replaced_by_row = 1");
    bed.sql(&format!(
        "{file} = (select file_id from files where path like '%10:30.csv'), {row} where source_row = 2"
    ))
    .await;
    let replaced = told(&bed, "a.csv:2").await;
    assert!(replaced.contains("replaced    by row 1 of in/10:30.csv, "), "{replaced}");
}

#[tokio::test]
async fn a_row_that_is_gone_is_shown_as_its_file_has_it() {
    let bed = loaded().await;
    let event = "00000000-0000-4000-8000-000000000005";
    assert!(told(&bed, event).await.starts_with("row 5 of in/a.csv is an event\n"));
    bed.sql(&format!("delete from events where event_id = '{event}'")).await;
    let ended = bed.run(&["explain", "a.csv:5"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.starts_with("row 5 of in/a.csv is in NONE of the tables\n"), "{}", ended.out);
    assert!(ended.out.contains(&format!("text        {event},view,")), "{}", ended.out);
    assert!(ended.out.contains("`millrace heal` brings it back"), "{}", ended.out);
    assert_eq!(story(&bed, "a.csv:5").await["text"]["read_as"], event);
    // Its file is gone too.
    std::fs::remove_file(bed.path("in/a.csv")).unwrap();
    let ended = bed.run(&["explain", "a.csv:5"]).await;
    assert!(ended.out.contains("text        not known: failed to read "), "{}", ended.out);

    let twice = "insert into events (event_id, event_type, event_timestamp, file_id, source_row)
                 select gen_random_uuid(), event_type, event_timestamp, file_id, source_row from events where source_row = 1";
    bed.sql(twice).await;
    let twice = told(&bed, "a.csv:1").await;
    assert!(twice.starts_with("row 1 of in/a.csv is there TWICE\n"), "{twice}");
    assert_eq!(twice.matches("\nevent       ").count(), 2, "{twice}");
    assert!(twice.contains("batch       none is known"), "{twice}");
}

#[tokio::test]
async fn what_is_nowhere_is_said_in_one_line() {
    let bed = loaded().await;
    for asked in ["id-7", "7a5ef6a5-26b3-4b0a-8d3a-000000000000", "nothing.csv:3", "in/a.csv"] {
        let ended = bed.run(&["explain", asked]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!((ended.out.as_str(), ended.err.trim_end().lines().count()), ("", 1), "{ended:?}");
        assert!(
            ended.err.contains(&format!("\"{asked}\" is neither the id of an event nor FILE:ROW")),
            "{ended:?}"
        );
    }
    let ended = bed.run(&["explain", "a.csv:6"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.starts_with("there is no row 6 of in/a.csv: it has 5 rows\n"), "{}", ended.out);
    let ended = bed.run(&["explain", "a.csv:0"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("rows are counted from 1; write a.csv:1"), "{}", ended.err);
}

#[tokio::test]
async fn files_of_one_name_are_offered_the_newest_first() {
    let bed = loaded().await;
    bed.write("in/b/a.csv", [HEADER.as_bytes(), FILES[1].1].concat());
    let ended = bed.run(&["up", "--once", "--input", "in/b"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = bed.run(&["explain", "a.csv:1"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    assert!(lines[0].starts_with("2 files could be meant by a.csv:1"), "{lines:?}");
    assert!(lines[1].contains(":1") && lines[1].contains(" in/b/a.csv, 1 rows"), "{lines:?}");
    assert!(lines[2].contains(" in/a.csv, 5 rows"), "{lines:?}");
    // Each of them can be asked for as it is written there.
    let asked = lines[1].split_whitespace().next().unwrap();
    assert!(told(&bed, asked).await.starts_with("row 1 of in/b/a.csv is a duplicate"));
    // The whole path of one is no doubt.
    assert!(told(&bed, "in/a.csv:1").await.starts_with("row 1 of in/a.csv is an event"));
    assert_eq!(story(&bed, "a.csv:1").await["choices"][0]["file"], "in/b/a.csv");
}
