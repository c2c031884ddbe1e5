//! Rows arrive, each once, however often they are sent.

use consumer::Counts;

use crate::test_env::{TestEnv, row, rows};

#[tokio::test]
async fn rows_arrive_once() {
    let env = TestEnv::start().await;
    env.publish_rows(rows(7, 2_000)).await;
    let replica = env.replica();
    env.until("select count(*) from events", 2_000).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates, counts.corrupt, counts.redelivered), (2_000, 0, 0, 0));
    assert_eq!(env.count("select count(distinct (file_id, source_row)) from events").await, 2_000);
    assert_eq!(env.count("select sum(inserted) from batches").await, 2_000);
    assert_eq!(
        env.count("select count(*) from events where batch_id not in (select batch_id from batches)").await,
        0
    );
}

#[tokio::test]
async fn values_arrive_as_they_were_sent() {
    let env = TestEnv::start().await;
    let more = r#""customer_name":"Zoë \"Z\" O\\Neil\tand\nsons\r","customer_address":"\\N","ip_address":"2001:db8::1","price":"19.90","price_category":"Low","device_type":"Tablet","attributes":{"colour":"red\n","n":1},"source_event_id":"e-1""#;
    env.publish_rows([row(7, 1, 1).with(more)]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 1).await;
    let found: (String, String, String, String, String, i64) = sqlx::query_as(
        "select customer_name, customer_address, host(ip_address), price::text, attributes->>'colour', source_row
         from events where source_event_id = 'e-1' and device_type = 'Tablet' and sku is null",
    )
    .fetch_one(&env.pool)
    .await
    .unwrap();
    let expected = ("Zoë \"Z\" O\\Neil\tand\nsons\r", "\\N", "2001:db8::1", "19.90", "red\n", 1);
    assert_eq!(
        (found.0.as_str(), found.1.as_str(), found.2.as_str(), found.3.as_str(), found.4.as_str(), found.5),
        expected
    );
    replica.drain().await;
}

#[tokio::test]
async fn a_row_that_is_sent_again_is_a_redelivery_and_no_duplicate() {
    let env = TestEnv::start().await;
    // Once in the same batch and once in a later one.
    env.publish_rows(rows(7, 100).into_iter().chain(rows(7, 10))).await;
    let replica = env.replica();
    env.until("select coalesce(sum(inserted + redelivered), 0) from batches", 110).await;
    env.publish_rows(rows(7, 100)).await;
    env.until("select sum(inserted + redelivered) from batches", 210).await;
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates, counts.redelivered), (100, 0, 110));
    assert_eq!(env.count("select count(*) from duplicates").await, 0);
    assert_eq!(env.count("select sum(events) from batch_files where file_id = 7").await, 100);
}

#[tokio::test]
async fn an_event_id_of_another_row_makes_a_duplicate_that_says_whether_it_differs() {
    let env = TestEnv::start().await;
    let original = row(7, 1, 42).with(r#""price":"5.00""#);
    env.publish_rows([original]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 1).await;
    let same = row(8, 1, 42).with(r#""price":"5.0""#);
    let other = row(8, 2, 42).with(r#""price":"6.00""#);
    // The second time as redeliveries, and with a new row beside them.
    env.publish_rows([same.clone(), other.clone()]).await;
    env.until("select count(*) from duplicates", 2).await;
    env.publish_rows([same, other, row(8, 3, 43)]).await;
    env.until("select count(*) from events", 2).await;
    let differing = env.count("select source_row from duplicates where file_id = 8 and differs").await;
    assert_eq!(differing, 2);
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates, counts.redelivered), (2, 2, 2));
    assert_eq!(env.count("select sum(duplicates) from batch_files where file_id = 8").await, 2);
}

#[tokio::test]
async fn a_new_connection_writes_duplicates_where_they_are_frequent() {
    let mut env = TestEnv::start().await;
    env.config.consumer.writers = 1;
    env.publish_rows([row(7, 1, 42)]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 1).await;
    for number in 1..=12 {
        if number == 10 {
            env.end_connections().await;
        }
        env.publish_rows([row(8, number, 42)]).await;
        env.until("select count(*) from duplicates", number).await;
    }
    let counts = replica.drain().await;
    assert_eq!((counts.events, counts.duplicates), (1, 12));
}

#[tokio::test]
async fn a_row_stays_where_it_was_settled_even_when_the_row_it_conflicted_with_is_gone() {
    let env = TestEnv::start().await;
    env.publish_rows([row(7, 1, 42)]).await;
    let replica = env.replica();
    env.until("select count(*) from events", 1).await;
    env.publish_rows([row(8, 1, 42)]).await;
    env.until("select count(*) from duplicates", 1).await;
    sqlx::query("delete from events").execute(&env.pool).await.unwrap();
    env.publish_rows([row(8, 1, 42)]).await;
    env.until("select count(*) from batches", 3).await;
    assert_eq!(env.count("select count(*) from events").await, 0);
    assert_eq!(replica.drain().await.redelivered, 1);
}

#[tokio::test]
async fn two_replicas_with_the_same_keys_in_opposite_order_settle_every_row() {
    let env = TestEnv::start().await;
    let ascending = rows(7, 3_000);
    // The same event ids in another file, from the last to the first.
    let descending = (1..).zip(ascending.iter().rev()).map(|(number, twin)| row(8, number, twin.event));
    let both: Vec<_> =
        ascending.clone().into_iter().zip(descending).flat_map(|(one, two)| [one, two]).collect();
    env.publish_rows(both).await;
    let replicas = [env.replica(), env.replica()];
    env.until("select (select count(*) from events) + (select count(*) from duplicates)", 6_000).await;
    env.until_acknowledged().await;
    let mut counts = Counts::default();
    for replica in replicas {
        counts += replica.drain().await;
    }
    assert_eq!((counts.events, counts.duplicates), (3_000, 3_000));
    assert_eq!(env.count("select count(*) from events").await, 3_000);
    for file in ["7", "8"] {
        let account = ledger::file_totals::by_file(&env.url, Some(&[file.parse().unwrap()])).await.unwrap();
        assert_eq!(account[0].events + account[0].duplicates, 3_000);
    }
}
