//! A broker that ends, fills up, or forgets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use async_nats::jetstream::consumer::pull;
use common::config::Config;
use common::stream::{DURABLE, STREAM};
use common::{FileId, Origin};
use futures::StreamExt as _;
use producer::Error;
use sandbox::testing::{Log, Proxy, Way};
use serde_json::Value;
use uuid::Uuid;

use crate::test_env::{HEADER, TestEnv, row, rows, until};

/// Every row of the only file, once or more often.
async fn is_whole(env: &TestEnv, rows: i64) -> bool {
    let contents = env.contents().await;
    let there: BTreeSet<i64> = contents.rows().into_iter().map(|origin| origin.row).collect();
    contents.files().len() == 1 && there == (1..=rows).collect()
}

/// Two files that are in the stream, of which the first is closed and archived.
async fn one_closed_and_one_open(env: &TestEnv) {
    env.land("closed.csv", rows(1..=3));
    let closed = env.until_finished("closed.csv", 3).await;
    env.close(&closed).await;
    until("it is archived", async || env.archived().len() == 1).await;
    env.land("open.csv", rows(11..=14) + "no row\n");
    env.until_finished("open.csv", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_at_the_start() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    one_closed_and_one_open(&env).await;
    tailer.drain().await;
    let before = env.contents().await;
    env.jetstream.delete_stream(STREAM).await.unwrap();

    let tailer = env.tail();
    let totals = env.until_finished("open.csv", 5).await;
    tailer.drain().await;
    // What is not closed is there again, as the same events; what is closed does not come again.
    let again = env.contents().await;
    assert_eq!(again.rows_of(totals.file_id), [1, 2, 3, 4, 5]);
    assert_eq!(again.files().len(), 1);
    assert!(again.event_ids().iter().all(|(origin, id)| before.event_ids().get(origin) == Some(id)));
    assert_eq!(again.rejects()[0].raw, before.rejects()[0].raw);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_while_it_runs() {
    let mut env = TestEnv::start().await;
    let tailer = env.tail();
    one_closed_and_one_open(&env).await;
    env.stop_nats().await;
    fs::remove_dir_all(env.store()).unwrap();
    env.restart_nats().await;

    let totals = env.until_finished("open.csv", 5).await;
    let contents = env.contents().await;
    assert_eq!(contents.rows_of(totals.file_id), [1, 2, 3, 4, 5]);
    assert_eq!(contents.files().len(), 1);
    // It goes on as before: appended rows follow, and word of closed files is heard.
    env.append("open.csv", row(15));
    let totals = env.until_finished("open.csv", 6).await;
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3, 4, 5, 6]);
    env.close(&totals).await;
    until("it is archived", async || env.archived().len() == 2).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_when_the_stream_is_deleted_under_a_running_tailer() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    one_closed_and_one_open(&env).await;
    env.jetstream.delete_stream(STREAM).await.unwrap();

    // The next row finds nobody who keeps it; the stream is made again, and what is not closed comes again.
    env.append("open.csv", row(15));
    let totals = env.until_finished("open.csv", 6).await;
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3, 4, 5, 6]);
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_when_the_stream_is_deleted_under_a_tailer_that_waits() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    one_closed_and_one_open(&env).await;
    env.jetstream.delete_stream(STREAM).await.unwrap();

    // No row comes, and no connection breaks: nothing would ever answer.
    let totals = env.until_finished("open.csv", 5).await;
    assert_eq!(env.contents().await.rows_of(totals.file_id), [1, 2, 3, 4, 5]);
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_when_an_old_copy_of_the_store_is_put_back() {
    let mut env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    env.stop_nats().await;
    let copy = env.aside("copy");
    copy_dir(&env.store(), &copy);
    env.restart_nats().await;
    env.append("a.csv", row(4) + &row(5));
    env.until_finished("a.csv", 5).await;
    env.stop_nats().await;
    fs::remove_dir_all(env.store()).unwrap();
    copy_dir(&copy, &env.store());
    env.restart_nats().await;
    env.until_finished("a.csv", 5).await;
    tailer.drain().await;
    assert!(is_whole(&env, 5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_only_purged_are_not_sent_again() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    env.jetstream.get_stream(STREAM).await.unwrap().purge().await.unwrap();
    env.append("a.csv", row(4));
    let tailer = env.tail();
    let totals = env.until_finished("a.csv", 4).await;
    tailer.drain().await;
    assert_eq!(env.contents().await.rows_of(totals.file_id), [4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_while_rows_flow_loses_none() {
    let mut env = TestEnv::start().await;
    env.land("a.csv", rows(1..=20_000));
    let tailer = env.tail_with(|config| config.publish.window = 100);
    for sent in [1_000, 3_000, 5_000] {
        until("rows flow", async || tailer.progress.messages() > sent).await;
        env.kill_nats();
        env.restart_nats().await;
    }
    env.until_finished("a.csv", 20_000).await;
    assert!(is_whole(&env, 20_000).await);
    tailer.drain().await;
}

#[tokio::test]
async fn a_server_that_is_not_ready_at_the_start_is_waited_for() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    env.reload_nats(|config| config.replace(r#""jetstream": "enabled""#, r#""jetstream": "disabled""#));
    until("JetStream is off", async || env.jetstream.query_account().await.is_err()).await;
    env.land("a.csv", rows(1..=3));
    let tailer = env.tail();
    until("it is told", async || log.lines("WARN the stream is in trouble").len() == 1).await;
    env.reload_nats(|config| config.replace(r#""jetstream": "disabled""#, r#""jetstream": "enabled""#));
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    assert_eq!(log.lines("WARN").len(), 1, "{:#?}", log.lines(""));
    assert_eq!(log.lines("INFO the stream is back").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut env = TestEnv::start().await;
    env.stop_nats().await;
    env.land("a.csv", rows(1..=3));
    let tailer = env.tail();
    // It holds the directory already.
    until("the tailer waits", async || {
        tailer.is_running() && fs::read_dir(env.config.checkpoint_dir()).is_ok_and(|dir| dir.count() > 0)
    })
    .await;
    env.restart_nats().await;
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tailer_that_waits_for_a_server_can_be_ended() {
    let mut env = TestEnv::start().await;
    env.stop_nats().await;
    let tailer = env.tail();
    tailer.shutdown.drain();
    let error = tailer.end().await.unwrap_err();
    assert!(matches!(error, Error::Nats(_)), "{error}");
}

/// Rows of 4 KB: 16 MiB are soon full of them.
fn large_rows(count: u128) -> String {
    let large = "x".repeat(4_096);
    let rows = (1..=count).map(|number| row(number).replace("A thing", &large));
    HEADER.to_owned() + &rows.collect::<String>()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_limits_are_set_and_a_full_stream_makes_the_tailer_wait() {
    let env = TestEnv::start_with(|config| config.stream.max_bytes = 16 << 20).await;
    env.land("a.csv", large_rows(6_000));
    let tailer = env.tail();
    // The broker refuses, and is asked again and again; nothing is dropped for it.
    until("the stream is full", async || tailer.progress.resends() > 200).await;
    let events = env.jetstream.get_stream(STREAM).await.unwrap();
    let info = events.cached_info();
    assert_eq!(info.config.max_bytes, 16 << 20);
    assert_eq!(info.state.first_sequence, 1);
    assert!(info.state.bytes <= 16 << 20);
    assert!(info.state.messages < 5_000 && tailer.is_running());
    // Nothing is sent beyond the window.
    let before = env.take_contents().await;
    let most = before.rows().into_iter().map(|origin| origin.row).max().unwrap();
    let beyond = usize::try_from(most).unwrap() - before.rows().len();
    assert!(beyond <= env.config.publish.window, "{beyond} rows were passed over");

    let totals = env.until_finished("a.csv", 6_000).await;
    tailer.drain().await;
    let mut all = before.rows_of(totals.file_id);
    all.extend(env.contents().await.rows_of(totals.file_id));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (1..=6_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_limits_are_set_and_one_beyond_the_brokers_room_is_refused_in_words() {
    let env = TestEnv::start().await;
    let beyond = |config: &mut Config| config.stream.max_bytes = 1 << 50;
    let refused = |error: Error| {
        let error = error.to_string();
        assert!(error.starts_with("stream.max_bytes = 1125899906842624 is more than nats-server"), "{error}");
        assert!(error.contains("write a smaller one") && !error.contains('\n'), "{error}");
    };
    refused(env.tail_with(beyond).end().await.unwrap_err());
    // So is one to which a stream is to grow that is there already.
    env.tail().drain().await;
    refused(env.tail_with(beyond).end().await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_no_gap_in_the_watermark() {
    // A full stream refuses a large row and takes the small ones behind it.
    let env = TestEnv::start_with(|config| config.stream.max_bytes = 16 << 20).await;
    let large = "x".repeat(200 << 10);
    let rows: String = (1..=400)
        .map(|number| if number % 2 == 0 { row(number) } else { row(number).replace("A thing", &large) })
        .collect();
    env.land("a.csv", HEADER.to_owned() + &rows);
    let tailer = env.tail();
    until("the stream is full", async || tailer.progress.resends() > 20).await;
    tailer.stop().await;
    let before = env.take_contents().await;
    let accepted: BTreeSet<i64> = before.rows().into_iter().map(|origin| origin.row).collect();
    let first_refused = (1..=400).find(|row| !accepted.contains(row)).unwrap();
    assert!(accepted.iter().any(|row| *row > first_refused), "later rows were taken");

    // What was refused comes after a restart, although rows behind it were acknowledged.
    let tailer = env.tail();
    let mut all = accepted;
    until("every row was in the stream", async || {
        all.extend(env.take_contents().await.rows().into_iter().map(|origin| origin.row));
        all.len() == 400
    })
    .await;
    tailer.drain().await;
    assert_eq!(all, (1..=400).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_purge_has_one_owner() {
    let env = TestEnv::start_with(|config| {
        config.stream.max_bytes = 16 << 20;
        config.stream.high_water = 0.1;
    })
    .await;
    let tailer = env.tail();
    env.land("a.csv", large_rows(1_000));
    env.until_finished("a.csv", 1_000).await;
    let events = env.jetstream.get_stream(STREAM).await.unwrap();
    let first_sequence = async || {
        let events = env.jetstream.get_stream(STREAM).await.unwrap();
        events.cached_info().state.first_sequence
    };
    // The replay first: nothing is ever read by the consumers alone.
    read(&events, "replay", 50).await;
    read(&events, DURABLE, 200).await;
    until("what both have read is purged", async || first_sequence().await >= 51).await;
    assert_eq!(first_sequence().await, 51);
    events.delete_consumer("replay").await.unwrap();
    until("what the consumers have read is purged", async || first_sequence().await > 51).await;
    assert_eq!(first_sequence().await, 201);
    tailer.drain().await;
}

/// A refusal that comes when its message is not in flight any more must not hold back the messages that follow.
#[tokio::test(flavor = "multi_thread")]
async fn rule_no_silent_stall_after_the_refusal_of_a_second_copy() {
    const ROWS: u64 = 120;
    let env = TestEnv::start_with(|config| {
        config.stream.max_bytes = 256 << 10;
        config.stream.high_water = 1.0;
    })
    .await;
    let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
    let tailer = env.tail_with(|config| config.nats.url = Some(proxy.url()));
    env.land("a.csv", rows(1..=1));
    env.until_finished("a.csv", 1).await;
    // The stream has room for one copy of each row, and not for two.
    let filler = vec![b'x'; (256 << 10) - 60_000];
    env.jetstream.publish("events.filler", filler.into()).await.unwrap().await.unwrap();
    let before = tailer.progress.messages();
    proxy.hold(Way::ToClient);
    env.land("b.csv", rows(2..=u128::from(ROWS) + 1));
    until("second copies are sent", async || tailer.progress.resends() >= ROWS).await;
    proxy.mend();
    until("the first copies are acknowledged", async || tailer.progress.messages() > before + ROWS).await;

    let events = env.jetstream.get_stream(STREAM).await.unwrap();
    events.purge().filter("events.filler").await.unwrap();
    env.land("c.csv", rows(500..=502));
    env.until_finished("c.csv", 3).await;
    tailer.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_no_silent_stall_when_the_store_is_deleted_while_rows_flow() {
    let mut env = TestEnv::start().await;
    env.land("a.csv", rows(1..=20_000));
    let tailer = env.tail();
    for sent in [1_000, 3_000] {
        until("rows flow", async || tailer.progress.messages() > sent).await;
        env.kill_nats();
        fs::remove_dir_all(env.store()).unwrap();
        env.restart_nats().await;
    }
    env.until_finished("a.csv", 20_000).await;
    assert!(is_whole(&env, 20_000).await);
    tailer.drain().await;
}

/// Makes a durable that has read so many messages.
async fn read(events: &async_nats::jetstream::stream::Stream, name: &str, count: usize) {
    let config = pull::Config { durable_name: Some(name.to_owned()), ..pull::Config::default() };
    let consumer = events.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap().take(count);
    while let Some(message) = messages.next().await {
        message.unwrap().double_ack().await.unwrap();
    }
}

fn copy_dir(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// The rows that wait for the broker fill the place of those that it has lost, so that its numbers show nothing.
#[tokio::test(flavor = "multi_thread")]
async fn rule_loss_is_noticed_although_rows_on_their_way_take_the_lost_ones_places() {
    let mut env = TestEnv::start().await;
    let tailer = env.tail();
    env.append("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    env.stop_nats().await;
    let copy = env.aside("copy");
    copy_dir(&env.store(), &copy);
    env.restart_nats().await;
    env.append("a.csv", row(4) + &row(5));
    env.until_finished("a.csv", 5).await;
    env.kill_nats();
    env.append("a.csv", (6..=500).map(row).collect::<String>());
    fs::remove_dir_all(env.store()).unwrap();
    copy_dir(&copy, &env.store());
    env.restart_nats().await;
    env.until_finished("a.csv", 500).await;
    // Rows that were on their way, and the totals, may be there before the loss is found.
    until("the lost rows are there again", async || is_whole(&env, 500).await).await;
    tailer.drain().await;
}

fn set_max_payload(env: &TestEnv, bytes: u64) {
    env.reload_nats(|config| {
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["max_payload"] = bytes.into();
        config.to_string()
    });
}

/// A record of several lines, and one long line.
fn rows_of_all_lengths() -> String {
    let lines = format!("\"{}\"", "line\n".repeat(1_000));
    let records = [row(1).replace("A thing", &lines), row(2).replace("A thing", &"x".repeat(10_000)), row(3)];
    HEADER.to_owned() + &records.concat()
}

/// `a.csv` with these rows was read, and the stream was lost, so that it is read again. Returns its id and its events.
async fn with_rows_of_all_lengths_to_read_again() -> (TestEnv, FileId, BTreeMap<Origin, Uuid>) {
    let env = TestEnv::start().await;
    env.append("a.csv", rows_of_all_lengths());
    let tailer = env.tail();
    let totals = env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    let events = env.contents().await.event_ids();
    assert_eq!(events.len(), 3);
    env.jetstream.delete_stream(STREAM).await.unwrap();
    (env, totals.file_id, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_limits_are_pinned() {
    let (env, file, before) = with_rows_of_all_lengths_to_read_again().await;
    // It has grown, and the tailer takes only shorter records.
    let more = "line\n".repeat(1_000);
    env.append("a.csv", row(4).replace("A thing", &format!("\"{more}\"")));
    env.land("b.csv", rows_of_all_lengths());
    let tailer = env.tail_with(|config| config.tail.max_record_bytes = 1_024);
    let grown = env.until_finished("a.csv", 4).await;
    // A new file has the new limit: each line is one row.
    let other = env.until_finished("b.csv", 1_003).await;
    tailer.drain().await;
    assert_eq!((grown.file_id, grown.rejected, other.rejected), (file, 0, 1_002));
    let after = env.contents().await;
    assert!(before.iter().all(|(origin, id)| after.event_ids()[origin] == *id));
    assert_eq!(after.rows_of(file), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_limits_are_pinned_and_a_row_that_the_broker_takes_no_more_waits() {
    let (env, file, before) = with_rows_of_all_lengths_to_read_again().await;
    set_max_payload(&env, 8 << 10);
    env.land("b.csv", rows(11..=13));
    let tailer = env.tail();
    env.until_finished("b.csv", 3).await;
    env.until_rows(4).await;
    let outcome = tailer.drain().await;
    let [(path, why)] = &outcome.parked[..] else { panic!("one file waits: {outcome:?}") };
    assert_eq!(*path, env.path("a.csv"));
    assert!(
        why.contains("row 2 makes a message of")
            && why.contains("max_payload was 1048576")
            && why.contains("is 8192"),
        "{why}"
    );
    let held = env.contents().await;
    assert_eq!((held.rows_of(file), held.rejects().len()), (vec![1], 0));

    set_max_payload(&env, 1 << 20);
    let tailer = env.tail();
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    let after = env.contents().await.event_ids();
    assert!(before.iter().all(|(origin, id)| after[origin] == *id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_a_lower_limit_is_waited_for() {
    let mut bed = TestEnv::start().await;
    let tailer = bed.tail();
    bed.append("a.csv", rows(1..=3));
    bed.until_finished("a.csv", 3).await;
    let limit = |bytes| set_max_payload(&bed, bytes);
    limit(2_048);
    bed.append("a.csv", large_rows(1).strip_prefix(HEADER).unwrap());
    bed.append("b.csv", rows(5..=5));
    // Where the row was read before the tailer had the new limit, the publisher tries in vain, and holds back what comes
    // after it. Otherwise only its file waits, and the next one is read.
    until("it waits", async || {
        tailer.progress.resends() > 10 || bed.totals().await.iter().any(|one| one.path.ends_with("b.csv"))
    })
    .await;
    assert!(tailer.is_running());
    limit(1 << 20);
    bed.kill_nats();
    bed.restart_nats().await;
    bed.until_finished("a.csv", 4).await;
    bed.until_finished("b.csv", 1).await;
    tailer.drain().await;
}
