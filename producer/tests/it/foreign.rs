//! A stream of our name that somebody else made.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, Source, StorageType};
use common::stream::STREAM;

use crate::test_env::{TestEnv, rows};

/// What Millrace makes, but for `max_bytes`.
fn ours() -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec!["events.>".to_owned(), "ledger.>".to_owned()],
        discard: DiscardPolicy::New,
        max_bytes: 16 << 20,
        allow_direct: true,
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_foreign_streams_are_refused() {
    let env = TestEnv::start().await;
    let mirror = Source { name: "OTHER".to_owned(), ..Source::default() };
    let other = Config { name: "OTHER".to_owned(), subjects: vec!["other".to_owned()], ..Config::default() };
    env.jetstream.create_stream(other).await.unwrap();
    let subjects = |subjects: &[&str]| subjects.iter().map(|&subject| subject.to_owned()).collect();
    let foreign = [
        (
            "subjects is events.> and must be events.>,ledger.>",
            Config { subjects: subjects(&["events.>"]), ..ours() },
        ),
        (
            "subjects is events.>,ledger.>,more and must be events.>,ledger.>",
            Config { subjects: subjects(&["more", "events.>", "ledger.>"]), ..ours() },
        ),
        (
            "retention is workqueue and must be limits",
            Config { retention: RetentionPolicy::WorkQueue, ..ours() },
        ),
        (
            "retention is interest and must be limits",
            Config { retention: RetentionPolicy::Interest, ..ours() },
        ),
        ("discard is old and must be new", Config { discard: DiscardPolicy::Old, ..ours() }),
        ("storage is memory and must be file", Config { storage: StorageType::Memory, ..ours() }),
        ("max_age is 3600s and must be unlimited", Config { max_age: Duration::from_hours(1), ..ours() }),
        ("max_msgs is 1000 and must be unlimited", Config { max_messages: 1_000, ..ours() }),
        ("max_msgs_per_subject is 9 and must be unlimited", Config { max_messages_per_subject: 9, ..ours() }),
        ("max_msg_size is 512 and must be unlimited", Config { max_message_size: 512, ..ours() }),
        ("no_ack is true and must be false", Config { no_ack: true, ..ours() }),
        ("deny_purge is true and must be false", Config { deny_purge: true, ..ours() }),
        ("sources is OTHER and must be none", Config { sources: Some(vec![mirror.clone()]), ..ours() }),
        ("mirror is OTHER and must be none", Config { subjects: vec![], mirror: Some(mirror), ..ours() }),
    ];
    for (difference, config) in foreign {
        env.jetstream.create_stream(config).await.unwrap();
        let error = env.tail().end().await.expect_err(difference).to_string();
        assert!(error.contains("the stream EVENTS is not as Millrace needs it: "), "{error}");
        assert!(
            error.contains(difference) && error.contains("nats stream rm EVENTS"),
            "{difference}: {error}"
        );
        assert!(!error.contains('\n'), "{error}");
        env.jetstream.delete_stream(STREAM).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_limits_are_set_by_the_producer() {
    let env = TestEnv::start().await;
    env.jetstream.create_stream(ours()).await.unwrap();
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    tailer.drain().await;
    let events = env.jetstream.get_stream(STREAM).await.unwrap();
    assert_eq!(events.cached_info().config.max_bytes, env.config.stream.max_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_foreign_streams_are_refused_while_it_runs() {
    let env = TestEnv::start().await;
    let tailer = env.tail();
    env.land("a.csv", rows(1..=3));
    env.until_finished("a.csv", 3).await;
    env.jetstream.delete_stream(STREAM).await.unwrap();
    env.jetstream.create_stream(Config { max_age: Duration::from_hours(1), ..ours() }).await.unwrap();
    let error = tailer.end().await.unwrap_err().to_string();
    assert!(error.contains("max_age is 3600s and must be unlimited"), "{error}");
}
