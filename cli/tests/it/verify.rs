//! `millrace verify`.

use rustix::process::Signal;
use sandbox::testing;
use serde_json::{Value, json};

use crate::bed::{Bed, HEADER, jetstream, rows, until};

/// What `millrace verify --json` says of a file.
fn of_file<'a>(proof: &'a Value, name: &str) -> &'a Value {
    let files = proof["files"].as_array().unwrap();
    files.iter().find(|file| file["file"].as_str().unwrap().ends_with(name)).unwrap()
}

/// Twenty rows that were loaded, in a file that stays.
async fn loaded(bed: &Bed) {
    bed.write("in/a.csv", rows(1..=20));
    let ended = bed.run(&["up", "--once", "--input", "in"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_run_is_reconciled_and_verify_has_the_same_keys() {
    let bed = Bed::new();
    let made = ["--count", "2000", "--dirty-rate", "0.05", "--duplicate-rate", "0.05"];
    let up = bed.run(&[&["up", "--fresh", "--json"], &made[..]].concat()).await.json();
    let ended = bed.run(&["verify", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let proof = ended.json();
    assert_eq!((&proof["total"], &proof["reconciled"]), (&up["total"], &json!(true)));
    assert_eq!(proof["rows_written"], 2_000);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert!(keys(&up).iter().all(|key| keys(&proof).contains(key)), "{:?}", keys(&proof));
    let file = &proof["files"][0];
    assert!(keys(&up["files"][0]).iter().all(|key| keys(file).contains(key)), "{file}");
    for file in proof["files"].as_array().unwrap() {
        assert_eq!(
            (&file["verdict"], &file["missing"], &file["too_many"]),
            (&json!("holds"), &json!([]), &json!([]))
        );
    }
    let nothing = json!({ "pending": 0, "unacknowledged": 0, "open": [], "waiting": [] });
    assert_eq!(proof["in_flight"], nothing);
    let text = bed.run(&["verify"]).await.out;
    assert!(text.trim_end().contains("\nreconciled: "), "{text}");
}

#[tokio::test]
async fn rows_deleted_by_hand_are_found_and_named() {
    let bed = Bed::new();
    loaded(&bed).await;
    bed.sql("delete from events where source_row in (3, 7, 8, 9)").await;
    let ended = bed.run(&["verify"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("in/a.csv: rows 3, 7-9 are missing"), "{}", ended.out);
    assert!(ended.out.contains("`millrace explain in/a.csv:3`"), "{}", ended.out);
    assert!(ended.out.contains("`millrace heal`"), "{}", ended.out);
    let proof = bed.run(&["verify", "--json"]).await.json();
    let file = of_file(&proof, "a.csv");
    assert_eq!((&proof["reconciled"], &file["verdict"]), (&json!(false), &json!("broken")));
    assert_eq!((&file["missing"], &file["events"]), (&json!([[3, 3], [7, 9]]), &json!(16)));
}

#[tokio::test]
async fn rows_that_are_there_twice_or_were_never_read_are_too_many() {
    let bed = Bed::new();
    loaded(&bed).await;
    let add = |row: u32, to: u32| {
        format!(
            "insert into events (event_id, event_type, event_timestamp, file_id, source_row)
             select gen_random_uuid(), event_type, event_timestamp, file_id, {to} from events where source_row = {row}"
        )
    };
    bed.sql(&add(5, 5)).await;
    bed.sql(&add(6, 99)).await;
    bed.sql(
        "insert into duplicates (event_id, event_type, event_timestamp, file_id, source_row, batch_id, differs)
         select event_id, event_type, event_timestamp, file_id, 20, batch_id, false from events where source_row = 20",
    )
    .await;
    let ended = bed.run(&["verify"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for fault in [
        "in/a.csv: row 5 is there twice, in events",
        "in/a.csv: row 20 is there twice, in events and duplicates",
        "in/a.csv: row 99 is there, but 20 rows were read",
    ] {
        assert!(ended.out.lines().any(|line| line == fault), "{fault}: {}", ended.out);
    }
    assert!(!ended.out.contains("millrace heal"), "nothing is missing: {}", ended.out);
    let proof = bed.run(&["verify", "--json"]).await.json();
    assert_eq!(of_file(&proof, "a.csv")["too_many"], json!([[5, 5], [20, 20], [99, 99]]));
}

#[tokio::test]
async fn rule_an_open_file_is_never_an_error_beside_live_traffic() {
    let bed = Bed::new();
    let made = ["--events-per-second", "2000", "--dirty-rate", "0.02", "--duplicate-rate", "0.02"];
    let up = bed.start(&[&["up", "--fresh"], &made[..]].concat());
    bed.until_sql("select count(*) > 0 from files where closed_at is not null", "t").await;
    let (mut looks, mut saw_an_open_file) = (0, false);
    until("five looks, one of them at an open file", async || {
        let ended = bed.run(&["verify", "--json"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.json()["reconciled"], true);
        looks += 1;
        saw_an_open_file |= ended.json()["in_flight"]["open"].as_array().is_some_and(|open| !open.is_empty());
        looks >= 5 && saw_an_open_file
    })
    .await;
    // What is really gone is found all the same.
    let closed =
        bed.sql("select file_id from files where closed_at is not null order by file_id limit 1").await;
    let deleted = format!(
        "delete from events where file_id = {closed} and source_row in
         (select min(source_row) from events where file_id = {closed}) returning source_row"
    );
    let row = bed.sql(&deleted).await;
    let ended = bed.run(&["verify"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains(&format!(": row {row} is missing")), "{}", ended.out);
    up.signal(Signal::INT);
    up.end().await;
}

#[tokio::test]
async fn a_file_that_is_put_away_must_be_known_to_the_database() {
    let bed = Bed::new();
    loaded(&bed).await;
    bed.sql("truncate events, files, batches, batch_files").await;
    let ended = bed.run(&["verify"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("in/a.csv: the database does not know it"), "{}", ended.out);
    assert!(ended.out.contains("in/a.csv: rows 1-20 are missing"), "{}", ended.out);
    let proof = bed.run(&["verify", "--json"]).await.json();
    assert_eq!(of_file(&proof, "a.csv")["in_database"], false);
    assert!(proof["gone_back"].as_str().unwrap().contains("has gone back"), "{proof}");
}

#[tokio::test]
async fn rows_that_are_still_in_the_stream_are_in_flight_and_not_missing() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    let nothing = bed.run(&["verify"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.err.contains("run `consumer migrate`"), "{}", nothing.err);
    loaded(&bed).await;
    // As a restart finds it: one row and the closing have not come, and its message waits in the stream.
    bed.sql("delete from events where source_row = 20").await;
    bed.sql("update files set closed_at = null").await;
    std::fs::remove_dir_all(bed.data().join("checkpoints")).unwrap();
    let jetstream = jetstream(&nats.url()).await;
    let row = rows(20..=20).replace(HEADER, "");
    jetstream.publish("events.view", row.into()).await.unwrap().await.unwrap();
    let ended = bed.run(&["verify", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let proof = ended.json();
    let file = of_file(&proof, "a.csv");
    assert_eq!((&file["verdict"], &file["missing"]), (&json!("in_flight"), &json!([[20, 20]])));
    assert_eq!(
        (&proof["in_flight"]["pending"], &proof["in_flight"]["waiting"][0]),
        (&json!(1), &file["file"])
    );
    let text = bed.run(&["verify"]).await.out;
    assert!(text.contains("in flight: unread messages 1, files that wait for their last rows 1"), "{text}");

    // When everything that was in the stream is committed, and the row is not there, it is missing.
    let consumer = bed.start(&["consumer", "run"]);
    until("the row is missing", async || bed.run(&["verify"]).await.code == Some(1)).await;
    consumer.signal(Signal::TERM);
    consumer.end().await;
    // Where nobody can tell what is in flight, it is missing too.
    nats.stop().await.unwrap();
    let ended = bed.run(&["verify", "--json"]).await;
    assert_eq!((ended.code, &ended.json()["in_flight"]["pending"]), (Some(1), &Value::Null), "{ended:?}");
    assert!(ended.err.contains("what is in flight is not known"), "{}", ended.err);
}
