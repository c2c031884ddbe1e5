//! A database that stands still: the stream fills to its limit, the tailer waits, and all flows on when it is free.

use std::fs;

use async_nats::jetstream;
use common::stream::{DURABLE, STREAM};
use rustix::process::Signal;
use sandbox::testing;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgPoolOptions;

use crate::bed::{Bed, Process, generated_rows, jetstream, names, rows, until};

/// 4 KiB a row: the stream's 16 MiB are soon full of them.
fn large_rows(numbers: std::ops::RangeInclusive<u32>) -> String {
    rows(numbers).replace("A thing", &"x".repeat(4_096))
}

/// The stream as it is now: its first sequence, how many messages it holds, and up to which one every message is read.
async fn stream(jetstream: &jetstream::Context) -> (u64, u64, u64) {
    // First the floor, since it rises.
    let events = jetstream.get_stream(STREAM).await.unwrap();
    let floor = events.consumer_info(DURABLE).await.unwrap().ack_floor.stream_sequence;
    let state = events.get_info().await.unwrap().state;
    (state.first_sequence, state.messages, floor)
}

/// Memory in use, in MiB; `None` where the system does not say it in a file.
fn memory(process: &Process) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok().map(|kib: u64| kib >> 10)
}

#[tokio::test]
async fn a_database_that_stands_still_fills_the_stream_and_then_the_tailer_waits() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database).with("MILLRACE_STREAM__MAX_BYTES", "16777216");
    assert_eq!(bed.run(&["consumer", "migrate"]).await.code, Some(0));
    let mut producer = bed.start(&["producer", "tail"]);
    let consumer = bed.start(&["consumer", "run"]);
    let jetstream = jetstream(&nats.url()).await;
    bed.drop_file("my data/landing/a.csv", large_rows(1..=2_000));
    until("the first file is through", async || {
        names(&bed.data().join("landing")).is_empty() && stream(&jetstream).await.2 > 2_000
    })
    .await;

    let pool = PgPoolOptions::new().connect(database.expose_secret()).await.unwrap();
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("lock table events").execute(&mut *lock).await.unwrap();
    bed.drop_file("my data/landing/b.csv", large_rows(2_001..=10_000));
    producer.until_logged("the stream takes no messages; waiting").await;
    let before = [memory(&producer), memory(&consumer)];
    // Until everything that was read is trimmed, and nothing moves.
    let (mut last, mut unchanged) = (0, 0);
    until("the stream is full of what nobody has read", async || {
        let (first, messages, floor) = stream(&jetstream).await;
        assert!(first <= floor + 1, "message {first} is the first one, but only those to {floor} were read");
        unchanged = if first == floor + 1 && messages == last { unchanged + 1 } else { 0 };
        last = messages;
        unchanged > 50
    })
    .await;
    let after = [memory(&producer), memory(&consumer)];
    // The tailer holds a window and a few chunks, and had them when the stream was full. The consumer may have filled its
    // queue of 12 MiB only since then. Neither takes more the longer it waits.
    for ((before, after), more) in before.into_iter().zip(after).zip([8, 24]) {
        let Some((before, after)) = before.zip(after) else { continue };
        assert!(after < 128 && after <= before + more, "{before} MiB became {after} MiB");
    }

    lock.rollback().await.unwrap();
    until("every file is closed and archived", async || {
        let (first, _, floor) = stream(&jetstream).await;
        assert!(first <= floor + 1, "message {first} is the first one, but only those to {floor} were read");
        names(&bed.data().join("landing")).is_empty()
    })
    .await;
    assert_eq!(generated_rows(&bed.data().join("archive")), 10_000);
    assert_eq!(bed.totals().await, [10_000, 10_000, 0, 0]);
    assert!(stream(&jetstream).await.0 > 2_000);
    for process in [producer, consumer] {
        process.signal(Signal::TERM);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told = |words| ended.err.matches(words).count();
        assert_eq!(told("WARN"), told("takes messages again") + told("is back outage_ms"), "{}", ended.err);
    }
}
