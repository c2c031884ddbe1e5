//! What cannot become an event becomes a corrupt record, and everything else goes on.

use std::time::Duration;

use common::config::Config;
use common::event::Reason;
use common::wire::{Bytes64, RejectMessage, VERSION};
use common::{FileId, stream};
use sqlx::Row as _;

use crate::test_env::{Row, TestEnv, row, rows};

#[tokio::test]
async fn rows_that_postgres_refuses_are_found_among_good_ones() {
    let env = TestEnv::start().await;
    let mut all = rows(7, 1_000);
    all[117] = all[117].clone().with(r#""price":"99999999999.99""#);
    all[500] = all[500].clone().with(r#""ip_address":"300.1.2.3""#);
    all[999] = all[999].clone().with(r#""price":"-1.00""#);
    env.publish_rows(all).await;
    let replica = env.replica();
    env.until("select count(*) from events", 997).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.corrupt), (997, 3));
    let found = sqlx::query("select * from corrupt_records where file_id = 7 order by source_row")
        .fetch_all(&env.pool)
        .await
        .unwrap();
    let text = |at: usize, column: &str| found[at].get::<String, _>(column);
    let places: Vec<i64> = found.iter().map(|record| record.get("source_row")).collect();
    assert_eq!(places, [118, 501, 1_000]);
    assert_eq!((text(0, "column_name"), text(0, "value")), ("price".into(), "99999999999.99".into()));
    assert_eq!((text(1, "column_name"), text(1, "value")), ("ip_address".into(), "300.1.2.3".into()));
    assert_eq!((text(2, "column_name"), text(2, "value")), ("price".into(), "-1.00".into()));
    assert_eq!((text(0, "stage"), text(0, "reason")), ("database".into(), "refused_by_database".into()));
    assert!(text(0, "message").contains("numeric field overflow"));
    assert!(found[0].get::<Vec<u8>, _>("raw").starts_with(br#"{"v":1,"file_id":7,"row":118,"#));
}

#[tokio::test]
async fn a_refused_row_that_comes_again_changes_nothing() {
    let env = TestEnv::start().await;
    let bad = row(7, 1, 1).with(r#""price":"-1.00""#);
    env.publish_rows([bad.clone()]).await;
    let replica = env.replica();
    env.until("select count(*) from corrupt_records", 1).await;
    // Even when the database would take it by now.
    sqlx::query("alter table events drop constraint events_price_check").execute(&env.pool).await.unwrap();
    env.publish_rows([bad, row(7, 2, 2)]).await;
    env.until("select count(*) from events", 1).await;
    let counts = replica.drain().await;
    assert_eq!((counts.corrupt, counts.events, counts.redelivered), (1, 1, 1));
}

#[tokio::test]
async fn rule_only_data_is_corrupt_a_batch_that_is_refused_for_the_most_part_stops_the_consumer() {
    let env = TestEnv::start().await;
    env.publish_rows(refused_first(601)).await;
    let replica = env.replica_with(one_batch);
    let error = replica.end().await.unwrap_err().to_string();
    assert!(error.contains("refuses more than half of a batch of 1200 rows"), "{error}");
    assert_eq!(env.count("select count(*) from corrupt_records").await, 0);
    assert_eq!(env.unread().await, (1_200, 0));
}

#[tokio::test]
async fn rule_only_data_is_corrupt_a_batch_of_which_half_is_refused_goes_through() {
    let env = TestEnv::start().await;
    env.publish_rows(refused_first(600)).await;
    let replica = env.replica_with(one_batch);
    env.until("select count(*) from events", 600).await;
    assert_eq!(replica.drain().await.corrupt, 600);
}

/// All 1,200 rows, so that it is a large one.
fn one_batch(config: &mut Config) {
    config.batch.rows = 1_200;
    config.batch.linger = Some(Duration::from_mins(1));
}

/// 1,200 rows of one file, of which PostgreSQL refuses the first ones.
fn refused_first(refused: usize) -> Vec<Row> {
    let mut all = rows(7, 1_200);
    for row in &mut all[..refused] {
        *row = row.clone().with(r#""price":"-1.00""#);
    }
    all
}

#[tokio::test]
async fn rule_only_data_is_corrupt_a_missing_column_stops_the_consumer() {
    let env = TestEnv::start().await;
    sqlx::query("alter table events drop column sku cascade").execute(&env.pool).await.unwrap();
    env.publish_rows(rows(7, 3)).await;
    let replica = env.replica();
    assert!(matches!(replica.end().await, Err(consumer::Error::Write(_))));
    assert_eq!(env.count("select count(*) from corrupt_records").await, 0);
}

/// Letters that do not compress.
fn random(length: usize) -> String {
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let letters = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"abcdefghijklmnopqrstuvwxyz012345"[usize::try_from(seed >> 59).unwrap()])
    });
    letters.take(length).collect()
}

#[tokio::test]
async fn rule_one_value_stops_nobody() {
    let env = TestEnv::start().await;
    sqlx::query("create index on events (session_id)").execute(&env.pool).await.unwrap();
    let (long, deep) = (random(4_000), 60_000);
    let nested = format!("[{}1{}]", "[".repeat(deep), "]".repeat(deep));
    let bad = [
        format!(r#""customer_id":"{long}""#),
        format!(r#""product_id":"{long}""#),
        format!(r#""session_id":"{long}""#),
        format!(r#""attributes":{nested}"#),
        r#""attributes":{"n":1e999999}"#.to_owned(),
        r#""attributes":{"n":"\u0000"}"#.to_owned(),
        r#""price":"1e999999""#.to_owned(),
    ];
    let good =
        [format!(r#""customer_name":"{long}","sku":"{long}""#), format!(r#""attributes":{{"{long}":1}}"#)];
    let mut all = rows(7, 50);
    for (row, more) in all[10..].iter_mut().zip(bad.iter().chain(&good)) {
        *row = row.clone().with(more);
    }
    // Alone in a batch, and among others.
    let replica = env.replica();
    env.publish_rows([row(8, 1, 1).with(&bad[0])]).await;
    env.until("select count(*) from corrupt_records", 1).await;
    env.publish_rows(all).await;
    // A time that PostgreSQL does not have.
    let ages_ago = format!(r#""written_us":{}"#, i64::MIN);
    let body = row(9, 1, 9).body().replace(r#""written_us":1700000000000000"#, &ages_ago);
    env.publish("events.view", body).await;
    env.until("select count(*) from events", 44).await;
    env.until("select count(*) from corrupt_records", 8).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.corrupt), (44, 8));
    let reasons =
        "select count(*) from corrupt_records where reason = 'refused_by_database' and file_id in (7, 8)";
    assert_eq!(env.count(reasons).await, 8);
}

#[tokio::test]
async fn rule_only_data_is_corrupt_a_limit_that_every_row_exceeds_stops_the_consumer() {
    let env = TestEnv::start().await;
    let trigger = "create function deep() returns trigger language plpgsql as
            $$ begin raise exception 'stack depth limit exceeded' using errcode = '54001'; end $$;
        create trigger deep before insert on events for each row execute function deep()";
    sqlx::raw_sql(trigger).execute(&env.pool).await.unwrap();
    env.publish_rows([row(7, 1, 1)]).await;
    assert!(matches!(env.replica().end().await, Err(consumer::Error::Write(_))));
    assert_eq!(env.count("select count(*) from corrupt_records").await, 0);
    assert_eq!(env.unread().await, (1, 0));
}

#[tokio::test]
async fn messages_that_make_no_sense_are_kept_by_their_place_in_the_stream() {
    let env = TestEnv::start().await;
    env.publish("events.view", "no json \u{0}").await;
    env.publish("events.view", r#"{"v":1,"event_type":"view"}"#).await;
    env.publish("ledger.unheard", "{}").await;
    env.publish_rows([row(7, 1, 1).with(r#""customer_name":"a\u0000b""#), row(7, 2, 2)]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 1).await;
    env.until("select count(*) from corrupt_records", 4).await;
    let reasons: Vec<(i64, String, Option<i64>)> = sqlx::query_as(
        "select stream_sequence, reason, source_row from corrupt_records order by stream_sequence",
    )
    .fetch_all(&env.pool)
    .await
    .unwrap();
    let expected = [
        (1, "undecodable_message", None),
        (2, "no_origin", None),
        (3, "undecodable_message", None),
        (4, "nul_character", Some(1)),
    ];
    assert_eq!(reasons, expected.map(|(sequence, reason, row)| (sequence, reason.to_owned(), row)));
    assert_eq!(replica.drain().await.corrupt, 4);
}

#[tokio::test]
async fn rule_bytes_survive() {
    let env = TestEnv::start().await;
    let raw = b"\0\xff,\"\n".to_vec();
    let reject = RejectMessage {
        replaces: None,
        v: VERSION,
        file_id: FileId::from(7),
        row: 1,
        written_us: 0,
        byte_start: 10,
        byte_end: 15,
        reason: Reason::NotUtf8,
        message: "bytes \0 that are not UTF-8".to_owned(),
        column: Some("customer_name".to_owned()),
        value: None,
        raw: Bytes64(raw.clone()),
        truncated: false,
    };
    let body = serde_json::to_string(&reject).unwrap();
    env.publish(stream::REJECTED, body.clone()).await;
    let replica = env.replica();
    env.until("select count(*) from corrupt_records", 1).await;
    env.publish(stream::REJECTED, body).await;
    env.until("select sum(redelivered) from batches", 1).await;
    let kept: Vec<u8> =
        sqlx::query_scalar("select raw from corrupt_records where byte_start = 10 and byte_end = 15")
            .fetch_one(&env.pool)
            .await
            .unwrap();
    assert_eq!(kept, raw);
    assert_eq!(env.count("select sum(corrupt) from batch_files where file_id = 7").await, 1);
    replica.drain().await;
}

#[tokio::test]
async fn rule_bytes_survive_of_what_is_no_message_and_of_a_row_that_was_cut() {
    let env = TestEnv::start().await;
    let raw = b"\xff\0{".to_vec();
    env.jetstream.publish("events.view", raw.clone().into()).await.unwrap().await.unwrap();
    let cut = r#"{"v":1,"file_id":7,"row":1,"written_us":0,"byte_start":0,"byte_end":9,"reason":"message_too_large","message":"m","raw":"/w==","truncated":true}"#;
    env.publish(stream::REJECTED, cut).await;
    let replica = env.replica();
    env.until("select count(*) from corrupt_records", 2).await;
    let kept: Vec<(Vec<u8>, bool)> =
        sqlx::query_as("select raw, truncated from corrupt_records order by stream_sequence")
            .fetch_all(&env.pool)
            .await
            .unwrap();
    assert_eq!(kept, [(raw, false), (vec![0xff], true)]);
    replica.drain().await;
}

#[tokio::test]
async fn rule_versions_are_said() {
    let env = TestEnv::start().await;
    env.publish("events.view", r#"{"v":2,"shape":"new"}"#).await;
    let error = env.replica().end().await.unwrap_err().to_string();
    assert!(error.contains("message 1 of the stream has format version 2"), "{error}");
    assert_eq!(env.unread().await, (1, 0));
    assert_eq!(env.count("select count(*) from corrupt_records").await, 0);
}
