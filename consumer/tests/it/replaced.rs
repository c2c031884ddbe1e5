//! Rejected rows in whose place others come: each is closed with a link to the row that was made from it.

use common::event::Reason;
use common::wire::{Bytes64, RejectMessage, VERSION};
use common::{FileId, Origin, stream};

use crate::test_env::{Row, TestEnv, row};

fn rejected(file: i64, row: i64, replaces: Option<(i64, i64)>) -> String {
    let reject = RejectMessage {
        replaces: replaces.map(|(file, row)| Origin { file: FileId::from(file), row }),
        v: VERSION,
        file_id: FileId::from(file),
        row,
        written_us: 0,
        byte_start: 0,
        byte_end: 4,
        reason: Reason::BadPrice,
        message: "column price: \"x\" is not a decimal number".to_owned(),
        column: Some("price".to_owned()),
        value: Some("x".to_owned()),
        raw: Bytes64(b"x".to_vec()),
        truncated: false,
    };
    serde_json::to_string(&reject).unwrap()
}

fn mended(mut row: Row, (file, number): (i64, i64)) -> Row {
    let replaces = format!(r#","replaces":{{"file_id":{file},"row":{number}}}"#);
    row.more.push_str(&replaces);
    row
}

impl TestEnv {
    async fn reject(&self, file: i64, row: i64, replaces: Option<(i64, i64)>) {
        self.publish(stream::REJECTED, rejected(file, row, replaces)).await;
    }

    /// Which row closed which.
    async fn links(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select format('%s:%s <- %s:%s', file_id, source_row, replaced_by_file_id, replaced_by_row)
             from corrupt_records where closed_at is not null order by file_id, source_row",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn rule_a_rejected_row_is_closed_by_the_row_that_takes_its_place() {
    let env = TestEnv::start().await;
    for number in 1..=4 {
        env.reject(7, number, None).await;
    }
    env.publish_rows([row(1, 1, 3)]).await;
    let replica = env.replica();
    env.until("select count(*) from corrupt_records", 4).await;
    env.until("select count(*) from events", 1).await;
    assert!(env.links().await.is_empty());
    // An event, a row that is rejected again, a duplicate, and a row that PostgreSQL refuses.
    let again = async || {
        env.reject(8, 2, Some((7, 2))).await;
        let refused = row(8, 4, 4).with(r#""price":"-1.00""#);
        let rows = [row(8, 1, 1), row(8, 3, 3), refused];
        env.publish_rows(rows.into_iter().map(|row| {
            let at = (7, row.number);
            mended(row, at)
        }))
        .await;
    };
    again().await;
    env.until("select count(*) from corrupt_records where closed_at is not null", 4).await;
    let links = ["7:1 <- 8:1", "7:2 <- 8:2", "7:3 <- 8:3", "7:4 <- 8:4"];
    assert_eq!(env.links().await, links);
    assert_eq!(env.count("select count(*) from corrupt_records where closed_at is null").await, 2);

    // What is delivered again closes nothing more, not even itself.
    again().await;
    env.until("select sum(redelivered) from batches", 4).await;
    assert_eq!(env.links().await, links);
    assert_eq!(env.count("select count(*) from duplicates where (file_id, source_row) = (8, 3)").await, 1);
    replica.drain().await;
}

#[tokio::test]
async fn rule_the_same_file_may_be_mended_again_until_nothing_is_open() {
    let env = TestEnv::start().await;
    env.reject(7, 1, None).await;
    // Two rows were made of one, and both are rejected.
    env.reject(8, 1, Some((7, 1))).await;
    let replica = env.replica();
    env.until("select count(*) from corrupt_records where closed_at is not null", 1).await;
    env.reject(8, 2, Some((7, 1))).await;
    env.until("select count(*) from corrupt_records", 3).await;
    assert_eq!(env.links().await, ["7:1 <- 8:1"], "a row does not close its neighbour");

    // The next try names the first row again, and closes the last one of its line.
    env.publish_rows([mended(row(9, 1, 1), (7, 1)), mended(row(9, 2, 2), (8, 2))]).await;
    env.until("select count(*) from corrupt_records where closed_at is not null", 3).await;
    assert_eq!(env.links().await, ["7:1 <- 8:1", "8:1 <- 9:1", "8:2 <- 9:2"]);
    // Once more, and a row that takes the place of none.
    env.publish_rows([mended(row(10, 1, 1), (7, 1)), mended(row(10, 2, 5), (99, 1))]).await;
    env.until("select count(*) from duplicates", 1).await;
    env.until("select count(*) from events", 3).await;
    assert_eq!(env.links().await.len(), 3);
    replica.drain().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_closes_what_it_was_to_replace() {
    let env = TestEnv::start().await;
    env.reject(7, 1, None).await;
    let replica = env.replica();
    env.until("select count(*) from corrupt_records", 1).await;
    env.publish_rows([mended(row(8, 1, 1).with(r#""customer_name":"a\u0000b""#), (7, 1))]).await;
    env.until("select count(*) from corrupt_records where closed_at is not null", 1).await;
    assert_eq!(env.links().await, ["7:1 <- 8:1"]);
    replica.drain().await;
}
