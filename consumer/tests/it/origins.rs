//! A row that comes again as something else: it stays in the table that it is in.

use common::stream;

use crate::test_env::{TestEnv, finished, reject, row, rows};

#[tokio::test]
async fn rule_one_origin_one_table_a_rejected_row_that_comes_as_an_event_stays_rejected() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish(stream::REJECTED, reject(7, 5)).await;
    env.until("select count(*) from corrupt_records", 1).await;
    env.publish_rows(rows(7, 9)).await;
    env.publish_account(&finished(7, 1, 9)).await;
    env.until("select count(*) from files where closed_at is not null", 1).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.corrupt, counts.redelivered), (8, 1, 1));
    assert_eq!(env.count("select count(*) from events where source_row = 5").await, 0);
}

#[tokio::test]
async fn rule_one_origin_one_table_within_one_batch() {
    let env = TestEnv::start().await;
    env.publish_rows([row(7, 1, 1)]).await;
    env.publish(stream::REJECTED, reject(7, 1)).await;
    env.publish(stream::REJECTED, reject(7, 2)).await;
    env.publish_account(&finished(7, 1, 2)).await;
    let linger = std::time::Duration::from_millis(500);
    let replica = env.replica_with(|config| config.batch.linger = Some(linger));
    env.until("select count(*) from files where closed_at is not null", 1).await;
    env.until_acknowledged().await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.corrupt, counts.redelivered), (1, 1, 1));
}

#[tokio::test]
async fn rule_one_origin_one_table_a_duplicate_that_comes_as_another_event_stays_a_duplicate() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_rows([row(7, 1, 1)]).await;
    env.until("select count(*) from events", 1).await;
    env.publish_rows([row(8, 1, 1)]).await;
    env.until("select count(*) from duplicates", 1).await;
    env.publish_rows([row(8, 1, 2), row(8, 2, 3)]).await;
    env.until("select sum(inserted + duplicates + redelivered)::bigint from batches", 4).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates, counts.redelivered), (2, 1, 1));
}

#[tokio::test]
async fn rule_one_origin_one_table_an_event_is_not_rejected_later() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    // The second batch finds out for each row what it is, since one of them is a duplicate.
    env.publish_rows(rows(7, 100)).await;
    env.until("select count(*) from events", 100).await;
    let first = rows(7, 1)[0].event;
    env.publish_rows((101..=130).map(|number| row(7, number, 1_000 + u128::from(number.unsigned_abs()))))
        .await;
    env.publish_rows([row(7, 131, first), row(7, 132, 5_000)]).await;
    env.until("select count(*) from events", 131).await;

    // Rows of both, a duplicate, one that PostgreSQL refuses under the origin of an event, and one that is new.
    for number in [1, 64, 100, 101, 130, 131, 132, 133] {
        env.publish(stream::REJECTED, reject(7, number)).await;
    }
    env.publish_rows([row(7, 2, 6_000).with(r#""price":"-1.00""#)]).await;
    env.publish_account(&finished(7, 1, 133)).await;
    env.until("select count(*) from files where closed_at is not null", 1).await;
    env.until("select sum(redelivered)::bigint from batches", 8).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates, counts.corrupt, counts.redelivered), (131, 1, 1, 8));
    assert_eq!(env.count("select source_row from corrupt_records").await, 133);
}

/// Batches of an older version do not record their rows.
#[tokio::test]
async fn rule_one_origin_one_table_what_no_batch_recorded_is_never_silent() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 9)).await;
    env.consume(9).await;
    sqlx::query("delete from batch_rows").execute(&env.pool).await.unwrap();
    let replica = env.replica();
    env.publish(stream::REJECTED, reject(7, 5)).await;
    env.publish_account(&finished(7, 1, 9)).await;
    env.publish_rows(rows(8, 1)).await;
    env.publish_account(&finished(8, 1, 1)).await;
    env.until("select file_id from files where closed_at is not null union all select 0 limit 1", 8).await;
    env.until("select count(*) from corrupt_records", 1).await;
    replica.drain().await;
    let ledgers = ledger::file_rows::read(&env.url).await.unwrap();
    let ledger = ledgers.iter().find(|ledger| ledger.totals.file_id == 7).unwrap();
    assert!(!ledger.totals.closed);
    let twice: Vec<_> = ledger.twice.iter().map(|(tables, rows)| format!("{rows}: {tables}")).collect();
    assert_eq!(twice, ["5: events and corrupt_records"]);
}

/// It was there once, and is no more.
#[tokio::test]
async fn rule_one_origin_one_table_an_event_that_was_deleted_is_forgotten_by_healing() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 9)).await;
    env.consume(9).await;
    sqlx::query("delete from events where source_row = 5").execute(&env.pool).await.unwrap();
    ledger::repair::Repair::begin(&env.url).await.unwrap().sums(true).await.unwrap();
    let replica = env.replica();
    env.publish(stream::REJECTED, reject(7, 5)).await;
    env.until("select source_row from corrupt_records union all select 0 limit 1", 5).await;
    replica.drain().await;
}

#[tokio::test]
async fn rule_one_origin_one_table_what_was_emptied_by_hand_does_not_count() {
    let env = TestEnv::start().await;
    let replica = env.replica_with(|config| config.consumer.writers = 1);
    env.publish_rows(rows(7, 9)).await;
    env.until("select count(*) from events", 9).await;
    sqlx::raw_sql("truncate events, batches, batch_files").execute(&env.pool).await.unwrap();
    env.publish(stream::REJECTED, reject(7, 5)).await;
    env.until("select count(*) from corrupt_records", 1).await;
    replica.drain().await;
}

#[tokio::test]
async fn a_column_that_a_newer_version_adds_does_not_disturb() {
    let env = TestEnv::start().await;
    sqlx::query("alter table events add column added text").execute(&env.pool).await.unwrap();
    let replica = env.replica();
    env.publish_rows([row(7, 1, 1)]).await;
    env.until("select count(*) from events", 1).await;
    env.publish_rows([row(8, 1, 1)]).await;
    env.until("select count(*) from duplicates", 1).await;
    replica.drain().await;
}
