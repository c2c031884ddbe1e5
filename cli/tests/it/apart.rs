//! Producer and consumers as processes of their own, with services that somebody else runs.

use async_nats::jetstream;
use common::stream::{DURABLE, STREAM};
use rustix::process::Signal;
use sandbox::{Nats, Options, testing};

use crate::bed::{Bed, generated_rows, jetstream, messages, names, rows, until};

#[tokio::test]
async fn a_producer_and_two_consumers_do_what_up_does() {
    let (nats, database) = tokio::join!(testing::nats(), testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    let migrated = bed.run(&["consumer", "migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let made = ["--count", "10000", "--seed", "7", "--dirty-rate", "0.02", "--duplicate-rate", "0.02"];
    let consumers =
        ["one", "two"].map(|name| bed.start(&["consumer", "run", "--replica", name, "--rows", "200"]));
    // Before there are any, so that neither takes all of them.
    let jetstream = jetstream(&nats.url()).await;
    until("both ask for rows", async || requests(&jetstream).await == 2).await;
    let producer = bed.start(&[&["producer", "run"], &made[..]].concat());
    until("every file is closed and archived", async || {
        let archive = bed.data().join("archive");
        names(&bed.data().join("landing")).is_empty() && generated_rows(&archive) >= 10_000
    })
    .await;
    for process in consumers.into_iter().chain([producer]) {
        process.signal(Signal::TERM);
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let apart = bed.totals().await;
    let [read, events, duplicates, corrupt] = apart;
    assert_eq!((read, events + duplicates + corrupt), (10_000, 10_000));
    assert!(duplicates > 0 && corrupt > 0);
    assert_eq!(bed.sql("select count(distinct replica) from batches").await, "2");
    let status = bed.run(&["status", "--json"]).await.json();
    let shares = status["replicas"].as_array().unwrap().iter();
    let shares: Vec<f64> = shares.map(|replica| replica["share_percent"].as_f64().unwrap()).collect();
    assert_eq!(shares.len(), 2, "{status}");
    assert!((shares.iter().sum::<f64>() - 100.0).abs() < 0.1, "{status}");
    assert!(!bed.data().join("sandbox").exists(), "no service of its own was started");

    let other = Bed::new();
    let ended = other.run(&[&["up"], &made[..]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(other.totals().await, apart);
}

/// How many requests for messages wait at the consumers' durable: one for each replica that has received nothing.
async fn requests(jetstream: &jetstream::Context) -> usize {
    let Ok(events) = jetstream.get_stream(STREAM).await else { return 0 };
    events.consumer_info(DURABLE).await.map_or(0, |durable| durable.num_waiting)
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let bed = Bed::new();
    let dir = bed.path("nats");
    std::fs::create_dir(&dir).unwrap();
    let nats = Nats::start(&Options::new(&dir), &dir).await.unwrap();
    let url = nats.url();
    nats.stop().await.unwrap();
    let bed = bed
        .with("NATS_URL", secrecy::ExposeSecret::expose_secret(&url))
        .with("DATABASE_URL", "postgres://x@127.0.0.1:1/x");
    bed.drop_file("my data/landing/a.csv", rows(1..=10));
    let mut tail = bed.start(&["producer", "tail"]);
    tail.until_logged("nats-server does not answer; trying again until it does").await;
    let nats = Nats::start(&Options::new(&dir), &dir).await.unwrap();
    tail.until_logged("nats-server answers").await;
    let jetstream = jetstream(&nats.url()).await;
    until("its rows are in the stream", async || messages(&jetstream).await > 10).await;
    assert_eq!(tail.err().matches("does not answer").count(), 1, "it is said once: {}", tail.err());
    tail.signal(Signal::INT);
    let ended = tail.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
