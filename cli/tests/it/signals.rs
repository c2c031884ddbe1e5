//! Ending, in good order and otherwise.

use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::json;

use crate::bed::{
    Bed, Process, generated_rows, has_extension, is_alive, jetstream, messages, names, rows, until,
};

/// An `up` that generates, some of whose rows are in the table.
async fn in_the_middle(bed: &Bed, more: &[&str]) -> Process {
    let arguments = [&["up", "--events-per-second", "2000", "--fresh"], more].concat();
    let up = bed.start(&arguments);
    bed.until_sql("select count(*) > 1000 from events", "t").await;
    up
}

#[tokio::test]
async fn ctrl_c_drains_and_prints_the_account() {
    // A slow machine has much to drain.
    let bed = Bed::new().with("MILLRACE_SHUTDOWN__GRACE", "1h");
    let up = in_the_middle(&bed, &["--json"]).await;
    // A second one in the same place is refused, and harms nothing.
    let second = bed.run(&["up", "--count", "10"]).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("already runs"), "{}", second.err);

    up.signal(Signal::INT);
    let ended = up.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let account = ended.json();
    assert_eq!((&account["interrupted"], &account["reconciled"]), (&json!(true), &json!(true)));
    assert!(account["files"].as_array().unwrap().iter().all(|file| file["closed"] == true), "{account}");
    // Everything that was generated is in the table.
    let rows = generated_rows(&bed.data().join("archive"));
    assert_eq!(
        (rows, names(&bed.data().join("landing")).len()),
        (account["total"]["rows_read"].as_u64().unwrap(), 0)
    );
    assert_eq!(bed.totals().await, [rows, rows, 0, 0]);
}

#[tokio::test]
async fn a_kill_leaves_no_service_and_the_next_run_loses_nothing_and_doubles_nothing() {
    let bed = Bed::new();
    let up = in_the_middle(&bed, &["--consumers", "2"]).await;
    let services = bed.services();
    assert!(
        services.iter().all(|(pid, port)| is_alive(*pid) && TcpStream::connect(("127.0.0.1", *port)).is_ok())
    );
    up.signal(Signal::KILL);
    let ended = up.end().await;
    assert_eq!(ended.code, None, "{ended:?}");
    until("no service is left", async || {
        services
            .iter()
            .all(|(pid, port)| !is_alive(*pid) && TcpStream::connect(("127.0.0.1", *port)).is_err())
    })
    .await;

    let ended = bed.run(&["up", "--once", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["reconciled"], true);
    // A file that was being generated never landed.
    let left = names(&bed.data().join("landing"));
    assert!(left.iter().all(|name| has_extension(name, "part")), "{left:?}");
    let rows = generated_rows(&bed.data().join("archive"));
    assert!(rows > 1_000);
    assert_eq!(bed.totals().await, [rows, rows, 0, 0]);
    let twice = bed.sql("select count(*) - count(distinct (file_id, source_row)) from events").await;
    assert_eq!(twice, "0");
}

#[tokio::test]
async fn a_second_ctrl_c_stops_at_once_and_the_account_says_what_is_open() {
    // What was not acknowledged comes again after this time.
    let bed = Bed::new().with("MILLRACE_SHUTDOWN__GRACE", "1h").with("MILLRACE_CONSUMER__ACK_WAIT", "2s");
    bed.write("in/a.csv", rows(1..=10));
    let mut up = bed.start(&["up", "--input", "in", "--json", "--fresh"]);
    bed.until_sql("select count(*) from files where closed_at is not null", "1").await;
    // Nobody can write into the table, so that a drain does not end.
    let lock = bed.start(&["psql", "-c", "begin; lock table events in share mode; select pg_sleep(3600)"]);
    bed.until_sql("select count(*) from pg_locks where mode = 'ShareLock' and granted and relation = 'events'::regclass", "1").await;
    bed.drop_file("in/b.csv", rows(11..=20));
    bed.until_sql("select count(*) > 0 from pg_locks where not granted", "t").await;
    up.signal(Signal::INT);
    up.until_logged("draining; a second signal stops at once").await;
    up.signal(Signal::INT);
    let ended = up.end().await;
    lock.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let account = ended.json();
    assert_eq!(
        (&account["interrupted"], &account["total"]["events"]),
        (&json!(true), &json!(10)),
        "{account}"
    );
    let closed = |name: &str| {
        let file = account["files"].as_array().unwrap().iter().find(|file| file["file"] == name);
        file.map(|file| file["closed"].clone())
    };
    assert_eq!(closed("in/a.csv"), Some(json!(true)), "{account}");
    // It may be that not even its name has come through.
    assert_ne!(closed("in/b.csv"), Some(json!(true)), "{account}");

    let ended = bed.run(&["up", "--once", "--input", "in", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(bed.totals().await, [20, 20, 0, 0]);
}

#[tokio::test]
async fn a_second_ctrl_c_stops_a_tailer_whose_broker_is_gone() {
    let nats = sandbox::testing::nats().await;
    let database = sandbox::testing::postgres_database().await;
    // Without a broker a drain cannot end, and the grace period is long.
    let bed = Bed::with_services(&nats.url(), &database).with("MILLRACE_SHUTDOWN__GRACE", "1h");
    bed.write("my data/landing/a.csv", rows(1..=10));
    let mut tail = bed.start(&["producer", "tail"]);
    let jetstream = jetstream(&nats.url()).await;
    until("its rows are in the stream", async || messages(&jetstream).await > 10).await;
    nats.stop().await.unwrap();
    tail.until_logged("connection to nats-server lost").await;
    bed.drop_file("my data/landing/b.csv", rows(11..=20));
    until("the second file is read", async || {
        let listed = bed.run(&["producer", "checkpoint", "list", "--json"]).await.json();
        listed.as_array().is_some_and(|files| files.len() == 2)
    })
    .await;
    tail.signal(Signal::TERM);
    tail.until_logged("draining; a second signal stops at once").await;
    tail.signal(Signal::INT);
    let ended = tail.end().await;
    assert!(ended.err.contains("stopped at once by a second signal"), "{}", ended.err);
    assert!(ended.code.is_some_and(|code| code < 2), "{ended:?}");
}
