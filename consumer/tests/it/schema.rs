//! The schema, its views and the sample queries.

use common::Shutdown;
use common::config::Config;
use secrecy::ExposeSecret;
use sqlx::{Connection, Executor, PgConnection};

use crate::test_env::{TestEnv, row};

#[tokio::test]
async fn replicas_may_migrate_at_the_same_time() {
    let url = sandbox::testing::postgres_database().await;
    let mut config = Config::default();
    config.database.url = Some(url.clone());
    let shutdown = Shutdown::new();
    let migrate = || ledger::migrate(&config, &shutdown);
    let (one, two, three, four) = tokio::join!(migrate(), migrate(), migrate(), migrate());
    for result in [one, two, three, four] {
        result.unwrap();
    }
    let mut connection = PgConnection::connect(url.expose_secret()).await.unwrap();
    let applied: i64 =
        sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(&mut connection).await.unwrap();
    assert_eq!(applied, 8);
}

#[tokio::test]
async fn a_consumer_does_not_run_on_a_schema_that_is_too_old() {
    let mut env = TestEnv::start().await;
    env.config.database.url = Some(sandbox::testing::postgres_database().await);
    let error = env.replica().end().await.unwrap_err().to_string();
    assert!(error.contains("at version 0, this build needs 8: run `consumer migrate`"), "{error}");
}

#[tokio::test]
async fn views_and_sample_queries_answer() {
    let env = TestEnv::start().await;
    let visit = [("view", 10), ("add_to_cart", 4), ("purchase", 1)];
    let replica = env.replica();
    let mut number = 0;
    for (event_type, times) in visit {
        for _ in 0..times {
            number += 1;
            let more = r#""session_id":"s","product_id":"p","product_name":"Lamp","category":"Books","price":"10.00","device_type":"Mobile""#;
            let body = row(7, number, number.unsigned_abs().into()).with(more).body();
            env.publish(
                format!("events.{event_type}"),
                body.replace("\"view\"", &format!("\"{event_type}\"")),
            )
            .await;
        }
    }
    env.until("select count(*) from events", 15).await;
    replica.drain().await;
    for query in [
        include_str!("../../../sql/queries/events_by_type_and_day.sql"),
        include_str!("../../../sql/queries/top_products_by_category.sql"),
        include_str!("../../../sql/queries/behaviour_by_device.sql"),
        include_str!("../../../sql/queries/hourly_activity.sql"),
        include_str!("../../../sql/queries/funnel_by_session.sql"),
        include_str!("../../../sql/queries/price_categories.sql"),
        "select * from v_event_summary",
        "select * from v_hourly_events",
        "select * from v_purchase_funnel",
        "select * from v_top_products",
        "select * from v_throughput",
        "select event_id, product_category, customer_id from ecommerce_events, lateral (select category as product_category) as c",
        "select user_id, user_name, user_email, product_category, product_price, timestamp from user_events",
    ] {
        assert!(!env.pool.fetch_all(query).await.unwrap().is_empty(), "{query}");
    }
    env.pool.fetch_all("select * from v_recent_activity").await.unwrap();
    let funnel: (i64, i64, i64) =
        sqlx::query_as("select views, carts, purchases from v_purchase_funnel where category = 'TOTAL'")
            .fetch_one(&env.pool)
            .await
            .unwrap();
    assert_eq!(funnel, (10, 4, 1));
}

#[tokio::test]
async fn a_plain_file_can_be_copied_into_events() {
    let env = TestEnv::start().await;
    let mut connection = env.pool.acquire().await.unwrap();
    let mut copy = connection
        .copy_in_raw(
            "copy events (event_id, event_type, event_timestamp, customer_id, customer_name, customer_email,
             customer_address, session_id, user_agent, ip_address, product_id, product_name, category, brand, sku,
             price) from stdin (format csv)",
        )
        .await
        .unwrap();
    let line =
        "00000000-0000-0000-0000-000000000001,view,2024-03-13 10:21:14,c,n,e,a,s,u,10.0.0.1,p,n,c,b,k,1.5\n";
    copy.send(line.as_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 1);
}
