//! Files are closed when SQL says that they are reconciled.

use common::stream;
use common::wire::{ClosedFile, FileMessage, FileState};
use ledger::file_totals;

use crate::test_env::{TestEnv, finished, reject, row, rows, until};

#[tokio::test]
async fn rule_closing_is_sql() {
    let env = TestEnv::start().await;
    let bucket = stream::closed_bucket(&env.jetstream).await.unwrap();
    let replica = env.replica();
    // Three rows: an event, a duplicate of it, and one that is refused.
    env.publish_account(&finished(7, 1, 3)).await;
    env.publish_rows([row(7, 1, 1), row(7, 2, 1)]).await;
    env.until("select count(*) from duplicates", 1).await;
    // All files are looked at together, so when a complete one is closed, the other one could have been.
    env.publish_rows([row(8, 1, 8)]).await;
    env.publish_account(&finished(8, 1, 1)).await;
    env.until("select count(*) from files where file_id = 8 and closed_at is not null", 1).await;
    assert_eq!(env.count("select count(*) from files where file_id = 7 and closed_at is not null").await, 0);
    assert!(bucket.get("7").await.unwrap().is_none());
    env.publish_rows([row(7, 3, 3).with(r#""price":"-1""#)]).await;
    env.until("select count(*) from files where file_id = 7 and closed_at is not null", 1).await;
    let announced = bucket.get("7").await.unwrap().unwrap();
    let announced: ClosedFile = serde_json::from_slice(&announced).unwrap();
    assert_eq!(announced, ClosedFile { revision: 1, rows_read: 3 });
    replica.drain().await;

    let accounts = file_totals::by_file(&env.url, None).await.unwrap();
    assert_eq!(accounts, file_totals::from_tables(&env.url, None).await.unwrap());
    let account = &accounts[0];
    assert_eq!((account.events, account.duplicates, account.corrupt_records), (1, 1, 1));
    assert!(account.is_reconciled() && account.closed && account.file == "landing/7.csv");
    assert!(file_totals::by_file(&env.url, Some(&[9])).await.unwrap().is_empty());
}

#[tokio::test]
async fn newer_totals_open_a_file_until_it_is_reconciled_again() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_rows(rows(7, 2)).await;
    env.publish_account(&finished(7, 1, 2)).await;
    env.until("select count(*) from files where closed_at is not null", 1).await;
    env.publish_account(&finished(7, 2, 3)).await;
    env.until("select count(*) from files where closed_at is null and revision = 2", 1).await;
    // An old one that comes again says nothing new.
    env.publish_account(&finished(7, 1, 2)).await;
    env.publish_rows([row(7, 3, 3)]).await;
    env.until("select count(*) from files where closed_at is not null and revision = 2", 1).await;
    let bucket = stream::closed_bucket(&env.jetstream).await.unwrap();
    until("revision 2 is announced", async || {
        let value = bucket.get("7").await.unwrap().unwrap();
        serde_json::from_slice::<ClosedFile>(&value).unwrap().revision == 2
    })
    .await;
    replica.drain().await;
}

#[tokio::test]
async fn an_empty_file_is_closed_too() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    env.publish_account(&finished(7, 1, 0)).await;
    env.until("select count(*) from files where closed_at is not null", 1).await;
    replica.drain().await;
}

#[tokio::test]
async fn the_account_of_a_truncated_file_is_a_lower_bound() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    // The tailer died after its last checkpoint, and the file is gone: it knows of five rows and had sent eight.
    let truncated = FileMessage { state: FileState::Truncated, ..finished(7, 1, 5) };
    env.publish_rows(rows(7, 5)).await;
    env.publish_account(&truncated).await;
    env.until("select count(*) from files where closed_at is not null and rows_read = 5", 1).await;
    // The others come only now, to a file that is closed.
    env.publish_rows(rows(7, 8).split_off(5)).await;
    env.until("select count(*) from files where closed_at is not null and rows_read = 8", 1).await;
    // Another file's come before its account.
    env.publish_rows(rows(8, 8)).await;
    env.publish_account(&FileMessage { state: FileState::Truncated, ..finished(8, 1, 5) }).await;
    env.until("select count(*) from files where closed_at is not null and rows_read = 8", 2).await;
    // An account that comes again says no more than before.
    env.publish_account(&truncated).await;
    env.until_acknowledged().await;
    env.until("select count(*) from files where closed_at is not null and rows_read = 8", 2).await;
    // A file that was read to its end is taken at its word.
    env.publish_rows(rows(9, 3)).await;
    env.publish_account(&finished(9, 1, 2)).await;
    env.until("select count(*) from files", 3).await;
    replica.drain().await;
    assert_eq!(env.count("select rows_read from files where file_id = 9 and closed_at is null").await, 2);
    assert!(
        file_totals::by_file(&env.url, Some(&[7, 8])).await.unwrap().iter().all(|file| file.is_reconciled())
    );
}

#[tokio::test]
async fn rule_closed_is_not_a_truncated_file_that_lacks_a_row_before_its_last_one() {
    let env = TestEnv::start().await;
    let replica = env.replica();
    // The 64th row, and those of other tables, are in other places of the database than the first ones.
    for (file, last) in [(7, 5), (8, 64), (9, 130)] {
        let mut rows = rows(file, last);
        let late = rows.remove(2);
        env.publish_rows(rows).await;
        env.publish_account(&FileMessage { state: FileState::Truncated, ..finished(file, 1, 0) }).await;
        env.until("select coalesce(max(rows_read), 0) from files where closed_at is null", last).await;
        env.publish_rows([late]).await;
        env.until("select coalesce(max(rows_read), 0) from files where closed_at is not null", last).await;
    }
    // The last row may be in another table than the others.
    env.publish(stream::REJECTED, reject(10, 3)).await;
    env.publish_rows([row(10, 1, 1_000), row(10, 4, 1_000)]).await;
    env.publish_account(&FileMessage { state: FileState::Truncated, ..finished(10, 1, 1) }).await;
    env.until("select coalesce(max(rows_read), 0) from files where closed_at is null", 4).await;
    env.publish_rows([row(10, 2, 1_001)]).await;
    env.until("select count(*) from files where file_id = 10 and rows_read = 4 and closed_at is not null", 1)
        .await;
    replica.drain().await;
}
