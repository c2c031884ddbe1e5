//! A stream that has lost what it had acknowledged: noticed, said in one line, and published again from the files.

use std::fs;

use rustix::process::Signal;

use crate::bed::{Bed, HEADER, copy, jetstream, messages, rows, until};

const LINE: &str = "stream lost data, publishing again";
/// Where the private nats-server keeps streams.
const STORE: &str = "sandbox/nats";
const UP: [&str; 3] = ["up", "--input", "in"];

/// Files that nothing finishes: the tailer still has to see to them when the stream loses data.
fn bed_with_open_files() -> Bed {
    let bed = Bed::new().with("MILLRACE_TAIL__FINISH_AFTER", "1h");
    bed.write("in/a.csv", rows(1..=300));
    bed.write("in/b.csv", rows(301..=400));
    bed
}

/// Runs `up` until so many rows of `file` are in the table, and so many in all, and kills it: in good order it would
/// finish the files.
async fn run_until(bed: &Bed, (file, of_file): (&str, &str), all: &str) {
    let up = bed.start(&UP);
    bed.until_sql("select count(*) from events", all).await;
    until("checkpoints are written", async || {
        let listed = bed.run(&["producer", "checkpoint", "list"]).await.out;
        let line = listed.lines().find(|line| line.ends_with(file)).unwrap_or_default();
        line.split_whitespace().take(3).skip(1).eq(["reading", of_file])
    })
    .await;
    bed.kill(up).await;
}

/// Starts `up` on a stream that lost data: it says so once, every row is sent again to those that are `left`, and
/// everything is there.
async fn is_noticed_and_healed(bed: &Bed, left: u64, events: u64) {
    let mut up = bed.start(&UP);
    up.until_logged(LINE).await;
    // The table had every row before: only the stream shows that they were sent.
    let stream = jetstream(&bed.nats()).await;
    until("every row is sent again", async || messages(&stream).await >= left + events).await;
    up.signal(Signal::INT);
    let ended = up.end().await;
    assert_eq!((ended.code, ended.err.matches(LINE).count()), (Some(0), 1), "{ended:?}");
    let ended = bed.run(&["up", "--once", "--input", "in", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.json()["total"]["events"], events, "{ended:?}");
    assert!(!ended.err.contains(LINE), "what was published again is not lost: {}", ended.err);
    assert_eq!(bed.totals().await, [events, events, 0, 0]);
    let verified = bed.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[tokio::test]
async fn rule_loss_is_noticed_when_the_store_is_deleted() {
    let bed = bed_with_open_files();
    run_until(&bed, ("a.csv", "300"), "400").await;
    fs::remove_dir_all(bed.data().join(STORE)).unwrap();
    is_noticed_and_healed(&bed, 0, 400).await;
}

#[tokio::test]
async fn rule_loss_is_noticed_when_an_older_copy_of_the_store_is_put_back() {
    let bed = bed_with_open_files();
    run_until(&bed, ("a.csv", "300"), "400").await;
    copy(&bed.data().join(STORE), &bed.path("backup"));
    bed.append("in/a.csv", rows(401..=500).strip_prefix(HEADER).unwrap());
    bed.write("in/c.csv", rows(501..=520));
    run_until(&bed, ("a.csv", "400"), "520").await;
    fs::remove_dir_all(bed.data().join(STORE)).unwrap();
    copy(&bed.path("backup"), &bed.data().join(STORE));
    is_noticed_and_healed(&bed, 400, 520).await;
}

/// What the tables hold is recognised, also the rows that were rejected, and what follows is read on.
#[tokio::test]
async fn a_store_of_checkpoints_that_is_emptied_loses_no_row_and_doubles_none() {
    let bed = bed_with_open_files();
    bed.append("in/a.csv", "not-a-uuid,view,never,customer 1,A thing,1.50\n");
    run_until(&bed, ("a.csv", "301"), "400").await;
    fs::write(bed.data().join("checkpoints/checkpoints.db"), "").unwrap();
    bed.append("in/a.csv", rows(401..=500).strip_prefix(HEADER).unwrap());
    let ended = bed.run(&["up", "--once", "--input", "in", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.err.matches("the checkpoints are lost").count(), 1, "{}", ended.err);
    assert_eq!(bed.totals().await, [501, 500, 0, 1]);
    let verified = bed.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}
