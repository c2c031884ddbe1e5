//! Sums of files that are wrong, because somebody has changed the tables.

use ledger::Error;
use ledger::file_totals::{by_file, from_tables};
use ledger::repair::{Correction, Repair};

use crate::test_env::{TestEnv, finished, row, rows};

async fn closed(env: &TestEnv) -> i64 {
    env.count("select count(*) from files where closed_at is not null").await
}

#[tokio::test]
async fn sums_are_brought_to_what_the_tables_hold() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_rows(rows(7, 100)).await;
    env.publish_rows(rows(8, 50)).await;
    // Its event id is that of a row of file 8.
    env.publish_rows([row(8, 51, 8 << 64 | 1)]).await;
    env.publish_account(&finished(7, 1, 100)).await;
    env.publish_account(&finished(8, 1, 51)).await;
    env.until("select count(*) from files where closed_at is not null", 2).await;
    let mut heal = Repair::begin(&env.url).await.unwrap();
    assert!(matches!(Repair::begin(&env.url).await, Err(Error::AlreadyHealing)));
    assert_eq!(heal.sums(true).await.unwrap(), []);

    sqlx::raw_sql("delete from events where file_id = 7 and source_row <= 3; delete from duplicates")
        .execute(&env.pool)
        .await
        .unwrap();
    let wrong = [(7, -3, 0), (8, 0, -1)].map(|(file_id, events, duplicates)| Correction {
        file_id,
        file: format!("landing/{file_id}.csv"),
        events,
        duplicates,
        corrupt_records: 0,
    });
    assert_eq!(heal.sums(false).await.unwrap(), wrong);
    assert_eq!((heal.sums(true).await.unwrap(), closed(&env).await), (wrong.to_vec(), 0));
    assert_eq!(heal.sums(true).await.unwrap(), []);
    assert_eq!(by_file(&env.url, None).await.unwrap(), from_tables(&env.url, None).await.unwrap());

    // The consumer has run all the while, and closes them when their rows are back.
    env.publish_rows(rows(7, 3)).await;
    env.publish_rows([row(8, 51, 8 << 64 | 1)]).await;
    env.until("select count(*) from files where closed_at is not null", 2).await;
    assert_eq!(by_file(&env.url, None).await.unwrap(), from_tables(&env.url, None).await.unwrap());
    replica.drain().await;
    drop(heal);
    env.until("select count(*) from pg_locks where locktype = 'advisory'", 0).await;
    assert!(Repair::begin(&env.url).await.is_ok());
}
