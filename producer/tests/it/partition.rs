//! A network between the tailer and the broker that cuts, swallows, delays and forgets.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::testing::{Log, Proxy, Way};

use crate::test_env::{Tailer, TestEnv, row, rows, until};

/// More than one window and one buffer of the client hold.
const ROWS: i64 = 10_000;

/// A tailer behind a proxy, with a file to read that is in the stream only when the network carries it there.
async fn tail_through_proxy(env: &TestEnv) -> (Proxy, Tailer) {
    let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
    env.land("a.csv", rows(1..=ROWS.cast_unsigned().into()));
    let tailer = env.tail_with(|config| {
        config.nats.url = Some(proxy.url());
        config.publish.window = 100;
    });
    (proxy, tailer)
}

async fn until_sent(tailer: &Tailer, messages: u64) {
    until("rows flow", async || tailer.progress.messages() > messages).await;
}

/// Every row is in the stream, and the checkpoint says so: the next tailer sends nothing but what is new.
async fn is_whole_and_settled(env: &TestEnv, tailer: Tailer) {
    let totals = env.until_finished("a.csv", ROWS).await;
    tailer.drain().await;
    let there: BTreeSet<i64> = env.contents().await.rows_of(totals.file_id).into_iter().collect();
    assert_eq!(there, (1..=ROWS).collect());
    env.append("a.csv", row(ROWS.cast_unsigned().into()));
    let tailer = env.tail();
    env.until_finished("a.csv", ROWS + 1).await;
    // The row and the file's totals.
    assert_eq!(tailer.progress.messages(), 2);
    tailer.drain().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_while_rows_flow_is_logged_once_and_loses_none() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let (proxy, tailer) = tail_through_proxy(&env).await;
    for sent in [1_000, 3_000, 5_000] {
        until_sent(&tailer, sent).await;
        proxy.cut();
        proxy.mend();
    }
    env.until_finished("a.csv", ROWS).await;
    until("it is told", async || log.lines("connection to nats-server is back").len() == 3).await;
    // An outage of many tries.
    proxy.cut();
    env.append("a.csv", row(1));
    until("it is told", async || log.lines("connection to nats-server lost").len() == 4).await;
    let connections = proxy.connections();
    until("it has tried a few times", async || proxy.connections() > connections + 3).await;
    proxy.mend();
    env.until_finished("a.csv", ROWS + 1).await;
    until("it is told", async || log.lines("connection to nats-server is back").len() == 4).await;
    assert_eq!(log.lines("connection to nats-server lost").len(), 4, "{:?}", log.lines(""));
    tailer.drain().await;
}

#[tokio::test]
async fn a_network_that_carries_nothing_for_longer_than_ack_timeout_loses_no_row() {
    let env = TestEnv::start().await;
    let (proxy, tailer) = tail_through_proxy(&env).await;
    until_sent(&tailer, 1_000).await;
    let resent = tailer.progress.resends();
    proxy.hold_both();
    until("it sends again", async || tailer.progress.resends() > resent + 100).await;
    proxy.mend();
    until_sent(&tailer, 3_000).await;
    is_whole_and_settled(&env, tailer).await;
}

#[tokio::test]
async fn a_connection_that_is_forgotten_is_made_anew() {
    let env = TestEnv::start().await;
    let (proxy, tailer) = tail_through_proxy(&env).await;
    until_sent(&tailer, 1_000).await;
    proxy.strand();
    let now = tailer.progress.messages();
    until_sent(&tailer, now + 200).await;
    is_whole_and_settled(&env, tailer).await;
}

#[tokio::test]
async fn a_connection_of_which_one_half_is_closed_is_made_anew() {
    let env = TestEnv::start().await;
    let (proxy, tailer) = tail_through_proxy(&env).await;
    for (sent, half) in [(1_000, Way::ToServer), (3_000, Way::ToClient)] {
        until_sent(&tailer, sent).await;
        proxy.half_close(half);
    }
    is_whole_and_settled(&env, tailer).await;
}

#[tokio::test]
async fn a_slow_link_loses_no_row() {
    let env = TestEnv::start().await;
    let (proxy, tailer) = tail_through_proxy(&env).await;
    proxy.delay(Duration::from_millis(10));
    until_sent(&tailer, 3_000).await;
    // Slower than it waits for an acknowledgement: everything is sent again and again.
    proxy.delay(Duration::from_millis(600));
    let resent = tailer.progress.resends();
    until("it sends again", async || tailer.progress.resends() > resent + 100).await;
    proxy.mend();
    is_whole_and_settled(&env, tailer).await;
}

#[tokio::test]
async fn a_server_that_accepts_and_does_not_answer_is_waited_for() {
    let log = Log::listen();
    let env = TestEnv::start().await;
    let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
    proxy.hold_both();
    env.land("a.csv", rows(1..=3));
    let tailer = env.tail_with(|config| {
        config.nats.url = Some(proxy.url());
        config.nats.connect_timeout = Duration::from_millis(100);
    });
    until("it has tried a few times", async || proxy.connections() > 2).await;
    proxy.mend();
    env.until_finished("a.csv", 3).await;
    assert_eq!(log.lines("nats-server does not answer").len(), 1, "{:?}", log.lines(""));
    assert_eq!(log.lines("nats-server answers").len(), 1, "{:?}", log.lines(""));
    tailer.drain().await;
}

#[tokio::test]
async fn a_tailer_whose_server_is_away_can_be_stopped_at_once() {
    let env = TestEnv::start().await;
    env.land("a.csv", rows(1..=ROWS.cast_unsigned().into()));
    for goes_away in [Proxy::cut, Proxy::hold_both] {
        let proxy = Proxy::to(env.config.nats.url.as_ref().unwrap()).await;
        let tailer = env.tail_with(|config| {
            config.nats.url = Some(proxy.url());
            config.publish.ack_timeout = Duration::from_millis(100);
        });
        until_sent(&tailer, 1_000).await;
        goes_away(&proxy);
        // Until the client takes no more.
        let (mut resends, mut unchanged) = (0, 0);
        until("nothing moves", async || {
            let before = std::mem::replace(&mut resends, tailer.progress.resends());
            unchanged = if before == resends { unchanged + 1 } else { 0 };
            unchanged > 30
        })
        .await;
        tailer.stop().await;
    }
}

#[tokio::test]
async fn rule_broker_does_not_deduplicate() {
    let env = TestEnv::start().await;
    let (proxy, tailer) = tail_through_proxy(&env).await;
    until_sent(&tailer, 1_000).await;
    // The stream has rows of which the tailer does not know it, and loses them.
    proxy.hold(Way::ToClient);
    let sends_again = async || {
        let resent = tailer.progress.resends();
        until("it sends again", async || tailer.progress.resends() > resent + 100).await;
    };
    sends_again().await;
    let before = env.take_contents().await;
    sends_again().await;
    proxy.mend();
    let totals = env.until_finished("a.csv", ROWS).await;
    tailer.drain().await;
    let (before, after) = (before.rows_of(totals.file_id), env.contents().await.rows_of(totals.file_id));
    let twice = before.iter().filter(|row| after.contains(row)).count();
    assert!(twice > 0, "a row that is sent again is stored again");
    let all: BTreeSet<i64> = before.into_iter().chain(after).collect();
    assert_eq!(all, (1..=ROWS).collect());
}
