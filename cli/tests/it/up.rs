//! Everything in one process.

use std::fs;

use serde_json::json;

use crate::bed::{Bed, HEADER, generated_rows, gzip, names, rows};

#[tokio::test]
async fn generated_rows_are_in_the_tables_and_the_account_says_so() {
    let bed = Bed::new();
    let ended = bed
        .run(&[
            "up",
            "--count",
            "2000",
            "--fresh",
            "--json",
            "--dirty-rate",
            "0.05",
            "--duplicate-rate",
            "0.05",
        ])
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let account = ended.json();
    let files = account["files"].as_array().unwrap();
    let count = |of: &serde_json::Value, what: &str| of[what].as_u64().unwrap();
    for file in files.iter().chain([&account["total"]]) {
        let parts = ["events", "duplicates", "corrupt_records"].map(|part| count(file, part));
        assert_eq!(count(file, "rows_read"), parts.iter().sum::<u64>(), "{file}");
    }
    for part in ["events", "duplicates", "corrupt_records"] {
        assert!(count(&account["total"], part) > 0, "{account}");
    }
    assert_eq!((&account["reconciled"], &account["interrupted"]), (&json!(true), &json!(false)));
    assert_eq!((count(&account["total"], "rows_read"), count(&account, "rows_written")), (2_000, 2_000));
    assert!(account["rows_per_second"].as_f64().unwrap() > 0.0);
    let latency = &account["latency_ms"];
    assert!(latency["p50"].as_f64().unwrap() > 0.0 && latency["p50"].as_f64() <= latency["p99"].as_f64());

    // What it says is what is there.
    let total =
        ["rows_read", "events", "duplicates", "corrupt_records"].map(|part| count(&account["total"], part));
    assert_eq!(bed.totals().await, total);
    assert!(names(&bed.data().join("landing")).is_empty());
    assert_eq!(names(&bed.data().join("archive")).len(), files.len());
    // Generated files are archived as they were; a spoilt row holds bytes that are no text.
    let archived = names(&bed.data().join("archive"));
    assert!(
        archived
            .iter()
            .all(|name| files.iter().any(|file| { name.ends_with(&format!(".{}.csv", file["file_id"])) }))
    );
}

#[tokio::test]
async fn own_files_are_read_once_and_left_in_place() {
    let bed = Bed::new();
    // The second file says again what the first one says, and something new.
    let (first, second) = (gzip(&rows(1..=1_000)), rows(901..=1_100));
    bed.write("my files/a.csv.gz", &first);
    bed.write("my files/b.csv", &second);
    let arguments = ["up", "--once", "--input", "my files", "--json"];
    let ended = bed.run(&arguments).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let total = json!({ "rows_read": 1_200, "events": 1_100, "duplicates": 100, "corrupt_records": 0 });
    assert_eq!(ended.json()["total"], total);

    let again = bed.run(&arguments).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!((&again.json()["total"], &again.json()["rows_written"]), (&total, &json!(0)));
    assert_eq!(bed.totals().await, [1_200, 1_100, 100, 0]);
    assert_eq!(names(&bed.path("my files")), ["a.csv.gz", "b.csv"]);
    assert_eq!(fs::read(bed.path("my files/a.csv.gz")).unwrap(), first);

    // --fresh forgets what was read, and touches no file.
    let fresh = bed.run(&["up", "--once", "--input", "my files", "--json", "--fresh"]).await;
    assert_eq!((&fresh.json()["total"], &fresh.json()["rows_written"]), (&total, &json!(1_200)));
    assert_eq!(fs::read_to_string(bed.path("my files/b.csv")).unwrap(), second);
}

#[tokio::test]
async fn bad_rows_are_kept_with_what_is_wrong_with_them() {
    let bed = Bed::new();
    let bad: [&[u8]; 4] = [
        b"2,view,2024-03-13T10:21:14Z,c,p,abc",
        b"3,view,yesterday,c,p,1",
        b"4,view,2024-03-13T10:21:14Z,nul \0 here,p,1",
        b"5,view,2024-03-13T10:21:14Z,Andr\xe9,p,1",
    ];
    let file = [rows(1..=1).as_bytes(), &bad.join(&b"\n"[..]), b"\n", b"6,view,2024-03-13T10:21:14Z,c,p,1\n"]
        .concat();
    bed.write("in/bad.csv", &file);
    bed.write("in/odd.csv", "when,what\n1,2\n");
    let ended = bed.run(&["up", "--once", "--input", "in", "--json"]).await;
    // A file that cannot be read is said, and others flow on.
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let account = ended.json();
    assert_eq!(account["total"]["corrupt_records"], 4);
    assert_eq!(account["parked"][0]["file"], "in/odd.csv");
    assert!(account["parked"][0]["reason"].as_str().unwrap().contains("found when, what"), "{account}");
    assert!(ended.err.contains("in/odd.csv: no column for event_type"), "{}", ended.err);

    let records = bed
        .sql(
            "select f.path, source_row, column_name, value, reason, message, byte_start, byte_end, encode(raw, 'hex')
             from corrupt_records c join files f using (file_id) order by source_row",
        )
        .await;
    let records: Vec<Vec<&str>> = records.lines().map(|line| line.split('|').collect()).collect();
    let seen: Vec<_> = records.iter().map(|record| record[1..5].to_vec()).collect();
    assert_eq!(
        seen,
        [
            ["2", "price", "abc", "bad_price"],
            ["3", "event_timestamp", "yesterday", "bad_timestamp"],
            ["4", "", "", "nul_character"],
            ["5", "", "", "not_utf8"],
        ]
    );
    assert_eq!(records[0][5], "column price: \"abc\" is not a decimal number");
    for (record, bytes) in records.iter().zip(bad) {
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let raw: Vec<u8> = record[8].as_bytes().chunks(2).map(byte).collect();
        assert_eq!((record[0], &raw[..]), ("in/bad.csv", bytes));
        let span = record[6].parse().unwrap()..record[7].parse().unwrap();
        assert_eq!(file[span].trim_ascii_end(), bytes);
    }
}

#[tokio::test]
async fn a_run_can_be_looked_at_while_it_is_running_and_afterwards() {
    let bed = Bed::new();
    let up = bed.start(&["up", "--count", "20000", "--events-per-second", "20000", "--fresh"]);
    // psql attaches to the services of the running process.
    bed.until_sql("select count(*) > 0 from events", "t").await;
    let ended = up.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("reconciled") && ended.out.contains("rows/s"), "{}", ended.out);

    let status = bed.run(&["status", "--json"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    let status = status.json();
    assert_eq!(status["total"]["rows_read"], 20_000);
    assert_eq!(
        (&status["consumers"][0]["name"], &status["consumers"][0]["pending"]),
        (&json!("warehouse"), &json!(0))
    );
    assert_eq!(status["files"]["open"], 0);
    assert!(status["stream"]["messages"].as_u64().unwrap() > 20_000);
    let text = bed.run(&["status"]).await.out;
    assert!(text.contains("20,000 events + 0 duplicates + 0 corrupt"), "{text}");

    let funnel =
        bed.sql("select views, carts, purchases from v_purchase_funnel where category = 'TOTAL'").await;
    let steps: Vec<u64> = funnel.split('|').map(|count| count.parse().unwrap()).collect();
    assert!(steps[0] > steps[1] && steps[1] > steps[2] && steps[2] > 0, "{funnel}");
    // psql's own exit code is told.
    assert_eq!(bed.run(&["psql", "-c", "select no_such_column"]).await.code, Some(1));
    assert_eq!(generated_rows(&bed.data().join("archive")), 20_000);
}

#[tokio::test]
async fn appended_rows_are_in_the_table_while_it_runs() {
    let bed = Bed::new();
    bed.write("in/a.csv", rows(1..=10));
    let up = bed.start(&["up", "--input", "in", "--json", "--fresh"]);
    bed.until_sql("select count(*) from events", "10").await;
    let more = rows(11..=30);
    let more = more.strip_prefix(HEADER).unwrap();
    bed.append("in/a.csv", more);
    bed.drop_file("in/b.csv", rows(31..=40));
    bed.until_sql("select count(*) from events", "40").await;
    up.signal(rustix::process::Signal::INT);
    let ended = up.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["total"]["events"], 40, "{ended:?}");
}
