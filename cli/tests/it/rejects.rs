//! Rejected rows: told, written out, edited, sent again.

mod messy;

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use messy::{mend, messy};

use crate::bed::{Bed, Ended, HEADER, jetstream, names, until};

impl Bed {
    /// Rejected rows that are still to be mended.
    async fn open_rejects(&self) -> Value {
        let told = self.run(&["rejects", "--json"]).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        told.json()["total"].clone()
    }

    /// Writes the open rejects into a directory, and says which files those are.
    async fn export(&self, dir: &str) -> Vec<PathBuf> {
        let ended = self.run(&["rejects", "export", dir]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        names(&self.path(dir)).into_iter().map(|name| self.path(dir).join(name)).collect()
    }

    async fn retry(&self, file: &str) -> Ended {
        self.run(&["rejects", "retry", file, "--json"]).await
    }

    async fn assert_reconciled(&self) {
        let verified = self.run(&["verify"]).await;
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
}

fn counts(retried: &Ended) -> [i64; 6] {
    ["rows_sent", "events", "duplicates", "rejected_again", "closed", "still_open"]
        .map(|key| retried.json()[key].as_i64().unwrap())
}

#[tokio::test]
async fn rule_export_edit_and_retry_leave_no_reject_open_and_all_is_reconciled() {
    let bed = Bed::new();
    bed.write("in/messy.csv", messy());
    let loaded = bed.run(&["up", "--once", "--input", "in", "--json"]).await;
    assert_eq!(loaded.json()["total"]["corrupt_records"], 10, "{loaded:?}");

    let told = bed.run(&["rejects"]).await.out;
    // Which row is the example depends on which writer was the first.
    assert!(told.contains("bad_price") && told.contains("  column price: \""), "{told}");
    assert!(told.contains("10 open rejects"), "{told}");
    let told =
        bed.run(&["rejects", "--reason", "bad_price", "--file", "messy.csv", "--limit", "1"]).await.out;
    assert!(told.contains("messy.csv:") && told.contains("2 open rejects; 1 of them not shown"), "{told}");

    let [exported] = &bed.export("fix").await[..] else { panic!("one file") };
    let text = fs::read(exported).unwrap();
    assert!(text.starts_with(format!("millrace_origin,{HEADER}").as_bytes()));
    bed.write("fixed.csv", &text);

    // As they are they are rejected again, and only the latest ones are open.
    let retried = bed.retry("fixed.csv").await;
    assert_eq!((retried.code, counts(&retried)), (Some(1), [10, 0, 0, 10, 10, 10]), "{retried:?}");
    assert_eq!(bed.open_rejects().await, 10);
    bed.assert_reconciled().await;

    // The same file is edited and sent, as a spreadsheet would save it.
    let mended = String::from_utf8(mend(&text)).unwrap().replace('\n', "\r\n");
    bed.write("fixed.csv", format!("\u{feff}{mended}"));
    let retried = bed.retry("fixed.csv").await;
    assert_eq!((retried.code, counts(&retried)), (Some(0), [10, 10, 0, 0, 10, 0]), "{retried:?}");
    assert_eq!(bed.open_rejects().await, 0);
    assert!(bed.run(&["rejects", "export", "more"]).await.out.contains("no open rejects"));
    bed.assert_reconciled().await;
    let found = bed.sql("select count(*), count(attributes), max(customer_name) from events").await;
    assert_eq!(found, "15|0|", "the origin is no part of the event");
    let links = "select count(*) from corrupt_records c
                 join events e on (e.file_id, e.source_row) = (c.replaced_by_file_id, c.replaced_by_row)";
    assert_eq!(bed.sql(links).await, "10");

    // Once more: each row repeats itself, and nothing else happens.
    let retried = bed.retry("fixed.csv").await;
    assert_eq!((retried.code, counts(&retried)), (Some(0), [10, 0, 10, 0, 0, 0]), "{retried:?}");
    bed.assert_reconciled().await;
    assert_eq!(bed.totals().await, [45, 15, 10, 20]);
    assert!(names(&bed.data().join("landing")).is_empty());
    assert_eq!(names(&bed.data().join("archive")).len(), 3);
}

#[tokio::test]
async fn rows_are_sent_through_the_tailer_that_runs() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database).with("GENERATE", "false");
    let bed = bed.with("MILLRACE_TAIL__FINISH_AFTER", "100ms");
    bed.write("my data/landing/a.csv", messy());
    let mut up = bed.start(&["up"]);
    let rejects = "select count(*) from corrupt_records";
    until("all rows are there", async || {
        let asked = bed.run(&["psql", "-XAtc", rejects]).await;
        asked.out.trim() == "10"
    })
    .await;
    let [exported] = &bed.export("fix").await[..] else { panic!("one file") };
    bed.write("fixed.csv", mend(&fs::read(exported).unwrap()));
    let retried = bed.retry("fixed.csv").await;
    assert_eq!((retried.code, counts(&retried)), (Some(0), [10, 10, 0, 0, 10, 0]), "{retried:?}");
    up.until_logged("has rejected rows").await;
    up.signal(Signal::INT);
    assert_eq!(up.end().await.code, Some(0));

    // A tailer of another directory has the checkpoints: it has to be named.
    bed.write("in/b.csv", format!("{HEADER}1,view,soon,c,p,1\n"));
    let up = bed.start(&["up", "--input", "in"]);
    until("all rows are there", async || bed.run(&["psql", "-XAtc", rejects]).await.out.trim() == "11").await;
    let [exported] = &bed.export("fix again").await[..] else { panic!("one file") };
    bed.write(
        "fixed.csv",
        String::from_utf8(fs::read(exported).unwrap()).unwrap().replace("soon", "2024-03-13"),
    );
    let refused = bed.retry("fixed.csv").await;
    assert_eq!((refused.code, refused.err.lines().count()), (Some(2), 1), "{refused:?}");
    assert!(refused.err.contains("name that directory with --input DIR"), "{refused:?}");
    assert!(names(&bed.data().join("landing")).is_empty() && names(&bed.path("in")) == ["b.csv"]);
    let retried = bed.run(&["rejects", "retry", "fixed.csv", "--input", "in"]).await;
    assert_eq!(retried.code, Some(1), "a date is no time: {retried:?}");
    assert!(
        retried.out.contains("row 1, bad_timestamp: column event_timestamp: \"2024-03-13\""),
        "{retried:?}"
    );
    assert!(retried.out.contains("1 reject closed, 1 still open"), "{retried:?}");
    assert_eq!(names(&bed.path("in")).len(), 2);
    up.signal(Signal::INT);
    assert_eq!(up.end().await.code, Some(0));
    bed.assert_reconciled().await;
}

#[tokio::test]
async fn the_configuration_may_be_what_is_mended_and_a_mended_row_keeps_its_id() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    let header = "Zeit;Aktion;Kunde;Preis\n";
    bed.write(
        "millrace.toml",
        "[[source]]\nname = \"shop\"\nfiles = \"shop.csv\"\ndelimiter = \";\"\n[source.columns]\n\
         event_timestamp = \"Zeit\"\nevent_type = \"Aktion\"\nprice = \"Preis\"\n",
    );
    bed.write(
        "in/shop.csv",
        format!("{header}2024-03-13 10:21:14;view;a;12,50\n2024-03-13 10:21:15;view;b;3\n"),
    );
    assert_eq!(bed.run(&["up", "--once", "--input", "in"]).await.code, Some(0));
    let [exported] = &bed.export("fix").await[..] else { panic!("one file") };
    let text = fs::read_to_string(exported).unwrap();
    assert!(text.starts_with(&format!("millrace_origin;{header}")), "{text}");
    // Saved by a program with separators and an ending of its own.
    bed.write("mended.txt", text.replace(';', "\t"));
    let toml = fs::read_to_string(bed.path("millrace.toml")).unwrap();
    bed.write("millrace.toml", toml.replace("delimiter", "decimal = \",\"\ndelimiter"));
    let retried = bed.retry("mended.txt").await;
    assert_eq!((retried.code, counts(&retried)), (Some(0), [1, 1, 0, 0, 1, 0]), "{retried:?}");

    // The same row in a file of its own is the same event.
    bed.write("again/shop.csv", format!("{header}2024-03-13 10:21:14;view;a;12,50\n"));
    let again = bed.run(&["up", "--once", "--input", "again", "--json"]).await;
    assert_eq!(again.json()["total"]["duplicates"], 1, "{again:?}");
    assert_eq!(bed.sql("select count(*), bool_or(differs) from duplicates").await, "1|f");
    bed.assert_reconciled().await;
}

#[tokio::test]
async fn what_cannot_be_sent_or_written_is_named_and_nothing_is_done() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    bed.write("in/a.csv", format!("{HEADER}1,view,soon,c,p,1\n2,view,2024-03-13T10:21:14Z,c,p,5000\n"));
    bed.run(&["consumer", "migrate"]).await;
    bed.sql("alter table events add check (price < 1000)").await;
    let jetstream = jetstream(&nats.url()).await;
    assert_eq!(bed.run(&["up", "--once", "--input", "in"]).await.code, Some(0));
    jetstream.publish("events.view", "no json".into()).await.unwrap().await.unwrap();
    let consumer = bed.start(&["consumer", "run"]);
    until("it is kept", async || bed.sql("select count(*) from corrupt_records").await == "3").await;
    consumer.signal(Signal::INT);
    assert_eq!(consumer.end().await.code, Some(0));

    // Of a row that the database refused, the file has the text; a message without origin is left out.
    let exported = bed.run(&["rejects", "export", "fix", "--json"]).await;
    let written = exported.json();
    assert_eq!((&written["rows"], &written["left_out"][0]["rows"]), (&json!(2), &json!(1)), "{written}");
    assert_eq!(written["left_out"][0]["why"], "they do not say which row of which file they are");
    let path = written["files"][0]["file"].as_str().unwrap();
    let text = fs::read_to_string(bed.path(path)).unwrap();
    assert!(text.ends_with(":2,2,view,2024-03-13T10:21:14Z,c,p,5000\n"), "{text}");
    let taken = bed.run(&["rejects", "export", "fix"]).await;
    assert_eq!((taken.code, taken.err.contains(&format!("{path} is there"))), (Some(2), true), "{taken:?}");
    assert_eq!(fs::read_to_string(bed.path(path)).unwrap(), text);

    let landing = bed.run(&["rejects", "export", "my data/landing"]).await;
    assert_eq!(
        (landing.code, landing.err.contains("is the landing directory")),
        (Some(2), true),
        "{landing:?}"
    );
    for (file, said) in [
        (text.replace("millrace_origin", "origin"), "fixed.csv: its first column is not millrace_origin"),
        (text.replacen(":1,", ";1,", 1), "fixed.csv row 1, column millrace_origin: \""),
        (text.lines().next().unwrap().to_owned() + "\n", "fixed.csv: there are no rows in it"),
        (text.replace("event_type", "kind"), "fixed.csv: no column for event_type"),
    ] {
        bed.write("fixed.csv", file);
        let refused = bed.retry("fixed.csv").await;
        assert_eq!((refused.code, refused.err.lines().count()), (Some(2), 1), "{refused:?}");
        assert!(refused.err.starts_with(&format!("error: {said}")), "{}", refused.err);
    }
    assert!(names(&bed.data().join("landing")).is_empty());
    let unknown = bed.run(&["rejects", "--file", "nowhere.csv"]).await;
    assert_eq!((unknown.code, unknown.err.contains("--file nowhere.csv: no such file")), (Some(2), true));
    let unknown = bed.run(&["rejects", "--reason", "boredom"]).await;
    assert_eq!((unknown.code, unknown.err.contains("refused_by_database")), (Some(2), true));

    bed.write("fixed.csv", text.replace("soon", "2024-03-13T10:21:14Z").replace("5000", "500"));
    let retried = bed.retry("fixed.csv").await;
    assert_eq!((retried.code, counts(&retried)), (Some(0), [2, 2, 0, 0, 2, 1]), "{retried:?}");
    bed.assert_reconciled().await;
}
