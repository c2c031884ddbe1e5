//! The stream once more: into the same tables, where it changes nothing, and into tables of its own.

use rustix::process::Signal;
use secrecy::SecretString;
use serde_json::Value;

use crate::bed::{Bed, Ended, until};

/// The columns that come from the row; batch and time of commit are another transaction's.
const CONTENT: &str = "event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, \
                       customer_address, session_id, user_agent, ip_address, product_id, product_name, category, brand, \
                       sku, price, price_category, device_type, attributes, file_id, source_row, source_event_id";

/// Everything that the tables and the ledger hold, as one text.
const ALL: &str = "select md5(string_agg(md5(t::text), '' order by t::text)) from (
    select 'e' || events::text from events union all select 'd' || duplicates::text from duplicates
    union all select 'c' || corrupt_records::text from corrupt_records union all select 'f' || files::text from files
    union all select 'b' || batch_files::text from batch_files where not replay) as t";

struct Stack {
    bed: Bed,
    _nats: sandbox::Nats,
}

/// Services whose stream and tables hold so many rows.
async fn filled(rows: &str, more: &[&str]) -> Stack {
    let nats = sandbox::testing::nats().await;
    let database: SecretString = sandbox::testing::postgres_database().await;
    let bed = Bed::with_services(&nats.url(), &database);
    let ended = bed.run(&[&["up", "--count", rows, "--seed", "7"], more].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Stack { bed, _nats: nats }
}

async fn replay(bed: &Bed, options: &[&str]) -> Ended {
    bed.run(&[&["replay", "--rate", "1000000"], options].concat()).await
}

async fn replayed(bed: &Bed, options: &[&str]) -> Value {
    let ended = replay(bed, &[options, &["--json"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

/// Rows that one table has and the other has not, in both directions.
async fn differences(bed: &Bed, table: &str, of_events: &str) -> String {
    bed.sql(&format!(
        "select count(*) from ((select {CONTENT} from {table} except all select {CONTENT} from events {of_events})
         union all (select {CONTENT} from events {of_events} except all select {CONTENT} from {table})) as difference"
    ))
    .await
}

#[tokio::test]
async fn a_replay_of_everything_changes_nothing() {
    let Stack { bed, _nats } = filled("3000", &["--dirty-rate", "0.02", "--duplicate-rate", "0.02"]).await;
    let before = bed.sql(ALL).await;
    let plan = replayed(&bed, &["--dry-run"]).await;
    let fates = plan["would_be"].as_array().unwrap();
    let sum = |key: &str| fates.iter().map(|fate| fate[key].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("messages"), sum("skipped"), sum("inserted"), sum("conflicts")), (3000, 3000, 0, 0));
    let done = replayed(&bed, &[]).await;
    assert_eq!((done["messages"].as_i64(), done["there_already"].as_i64()), (Some(3000), Some(3000)));
    let file =
        bed.sql("select regexp_replace(path, '.*/', ''), rows_read from files order by path limit 1").await;
    let (name, rows) = file.split_once('|').unwrap();
    let of_one_file = replayed(&bed, &["--file", name]).await;
    assert_eq!(of_one_file["messages"].to_string(), rows, "{of_one_file}");
    assert_eq!(bed.sql(ALL).await, before);
    let marked = "select count(*) > 0 and bool_and(replica like 'replay %') from batches where replay";
    assert_eq!(bed.sql(marked).await, "t");
}

#[tokio::test]
async fn purchases_of_a_time_range_go_into_a_new_table() {
    let Stack { bed, _nats } = filled("4000", &[]).await;
    let bounds = bed
        .sql(
            "select to_char(percentile_disc(0.3) within group (order by event_timestamp) at time zone 'UTC',
                'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), to_char(percentile_disc(0.7) within group (order by
                event_timestamp) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from events",
        )
        .await;
    let (since, until) = bounds.split_once('|').unwrap();
    let options = ["--subject", "events.purchase", "--since", since, "--until", until, "--into", "purchases"];
    let plan = replayed(&bed, &[&options[..], &["--dry-run"]].concat()).await;
    assert_eq!(bed.sql("select to_regclass('purchases') is null").await, "t");
    let done = replayed(&bed, &options).await;
    let inserted = done["inserted"].as_i64().unwrap();
    assert!(inserted > 10, "{done}");
    assert_eq!(plan["messages"], done["messages"]);
    let of_events = format!(
        "where event_type = 'purchase' and event_timestamp >= '{since}' and event_timestamp < '{until}'"
    );
    assert_eq!(differences(&bed, "purchases", &of_events).await, "0");
    let again = replay(&bed, &options).await;
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.err.contains("table purchases is there already"), "{again:?}");
}

#[tokio::test]
async fn an_emptied_table_is_rebuilt_from_the_stream() {
    let Stack { bed, _nats } = filled("3000", &["--duplicate-rate", "0.02"]).await;
    bed.sql("create table before as select * from events").await;
    bed.sql("truncate events").await;
    let done = replayed(&bed, &[]).await;
    assert_eq!(done["inserted"].as_str(), None);
    assert_eq!(differences(&bed, "before", "").await, "0");
    let sums = "select count(*) from files f where rows_read <> (select sum(events + duplicates + corrupt)
                from batch_files b where b.file_id = f.file_id and not replay)";
    assert_eq!(bed.sql(sums).await, "0", "what a replay adds stays out of the sums");
}

#[tokio::test]
async fn a_replay_that_is_killed_goes_on() {
    let Stack { bed, _nats } = filled("9000", &[]).await;
    // Minutes, so that it is killed before its end however slow the machine is.
    let options = ["replay", "--into", "copy", "--rate", "40", "--json"];
    let running = bed.start(&options);
    until("some rows are there", async || {
        let asked = bed.run(&["psql", "-XAtc", "select count(*) > 0 from copy"]).await;
        asked.out.trim() == "t"
    })
    .await;
    let second = bed.run(&options).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("is running already"), "{second:?}");
    running.signal(Signal::KILL);
    running.end().await;
    let done = replayed_when_free(&bed).await;
    assert!(done["resumed_at"].as_u64().unwrap() > done["first_sequence"].as_u64().unwrap(), "{done}");
    assert!(done["messages"].as_u64().unwrap() < 9000, "{done}");
    assert_eq!(differences(&bed, "copy", "").await, "0");
}

/// PostgreSQL learns of the killed process a moment later.
async fn replayed_when_free(bed: &Bed) -> Value {
    let mut done = None;
    until("the killed replay's session is gone", async || {
        let ended = replay(bed, &["--into", "copy", "--json"]).await;
        assert!(ended.code == Some(0) || ended.err.contains("is running already"), "{ended:?}");
        done = (ended.code == Some(0)).then(|| ended.json());
        done.is_some()
    })
    .await;
    done.unwrap()
}

#[tokio::test]
async fn what_cannot_be_replayed_is_said_in_one_line() {
    let Stack { bed, _nats } = filled("500", &[]).await;
    let before = bed.sql(ALL).await;
    for (options, code, words) in [
        (&["--subject", "orders.new"][..], 2, "no message of the stream is on orders.new; it has events."),
        (&["--subject", "events.refund"], 2, "no message of the stream is on events.refund"),
        (&["--file", "nowhere.csv"], 2, "no file is known as \"nowhere.csv\""),
        (&["--from-sequence", "90000"], 1, "so there is nothing to replay"),
        (&["--since", "2020-02-01", "--until", "2020-01-01"], 2, "nothing between the given times"),
        (
            &["--since", "1980-01-01", "--until", "1980-01-02", "--into", "none"],
            1,
            "no message of sequences 1 to",
        ),
        (&["--into", "events"], 2, "table events is there already"),
        (&["--into", "Bad Name"], 2, "small letters"),
        (&["--since", "soon"], 2, "or how long ago"),
    ] {
        let ended = replay(&bed, options).await;
        assert_eq!(ended.code, Some(code), "{options:?} {ended:?}");
        assert!(ended.err.contains(words), "{options:?} {ended:?}");
    }
    assert_eq!(bed.sql(ALL).await, before);
    assert_eq!(bed.sql("select to_regclass('none') is null").await, "t");
}
