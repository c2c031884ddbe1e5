//! The running Compose stack, from a container beside the others: files are dropped into the mounted directory, tables
//! are read, everybody is asked how it is.
//!
//! `docker compose run --rm test` builds and runs these; without a stack there is nothing to test, so they are ignored.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull;
use common::health::{Ask, Service};
use common::nats::{self, User};
use common::stream::STREAM;
use common::{Shutdown, config};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgPool;
use uuid::Uuid;

use crate::bed::{HEADER, until};

/// After how long nats-server removes a consumer that nobody uses.
const INACTIVE: Duration = Duration::from_secs(1);
/// Where `./data` is mounted.
const LANDING: &str = "data/landing";
const ARCHIVE: &str = "data/archive";

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is set: run this by docker compose run --rm test"))
}

/// The URL with the password that the service `passwords` has made for `name`.
fn with_password(url: &str, name: &str) -> SecretString {
    let file = format!("/run/passwords/{name}/password");
    config::url_with_password(&url.into(), Path::new(&file)).unwrap()
}

fn database_url() -> SecretString {
    with_password(&variable("DATABASE_URL"), "postgres")
}

async fn database() -> PgPool {
    PgPool::connect(database_url().expose_secret()).await.unwrap()
}

/// Drops a complete file, and gives its name.
fn drop_file(text: &str) -> String {
    let name = format!("stack-{}.csv", Uuid::new_v4());
    let part = format!("{LANDING}/{name}.part");
    let mut file = fs::File::create(&part).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::rename(part, format!("{LANDING}/{name}")).unwrap();
    name
}

fn good_row(id: Uuid) -> String {
    format!("{id},view,2024-03-13T10:21:14Z,customer,A thing,1.50\n")
}

async fn count(pool: &PgPool, id: Uuid) -> i64 {
    let count = sqlx::query_scalar("select count(*) from events where event_id = $1").bind(id);
    count.fetch_one(pool).await.unwrap()
}

#[tokio::test]
#[ignore = "needs the Compose stack"]
async fn a_dropped_file_is_in_the_table_soon() {
    let pool = database().await;
    let id = Uuid::new_v4();
    let dropped = Instant::now();
    drop_file(&(HEADER.to_owned() + &good_row(id)));
    until("its row is in the table", async || count(&pool, id).await == 1).await;
    // How soon depends on the machine, so it is printed and not asserted.
    println!("a dropped file was in the table after {} ms", dropped.elapsed().as_millis());
}

#[tokio::test]
#[ignore = "needs the Compose stack"]
async fn every_row_ends_in_one_of_three_tables_and_the_file_is_archived() {
    let pool = database().await;
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    let mut text = HEADER.to_owned();
    text.extend(ids.iter().copied().map(good_row));
    text += &good_row(ids[0]);
    text += "no-id,dance,never,customer,A thing,-1\n";
    let name = drop_file(&text);
    let account = "select concat_ws(' ', rows_read,
            (select count(*) from events e where e.file_id = f.file_id),
            (select count(*) from duplicates d where d.file_id = f.file_id),
            (select count(*) from corrupt_records c where c.file_id = f.file_id), closed_at is not null)
        from files f where path like '%' || $1";
    until("seven rows have become five, one and one, and the file is closed", async || {
        let found: Option<String> =
            sqlx::query_scalar(account).bind(&name).fetch_optional(&pool).await.unwrap();
        found.as_deref() == Some("7 5 1 1 t")
    })
    .await;
    let stem = name.trim_end_matches(".csv");
    until("it is in the archive", async || {
        fs::read_dir(ARCHIVE)
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(stem))
    })
    .await;
    assert!(!Path::new(LANDING).join(&name).exists());
}

#[tokio::test]
#[ignore = "needs the Compose stack"]
async fn no_closed_file_breaks_the_law() {
    let files = ledger::file_totals::from_tables(&database_url(), None).await.unwrap();
    assert!(files.iter().any(|file| file.closed), "something was closed before");
    let broken: Vec<_> = files.iter().filter(|file| file.closed && !file.is_reconciled()).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

/// The addresses behind a service's name: one a replica.
async fn addresses(service: Service) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((service.name(), service.port())).await?;
    Ok(found.map(|address| address.ip()).collect())
}

#[tokio::test]
#[ignore = "needs the Compose stack"]
async fn the_producer_and_each_consumer_are_alive_and_ready() {
    for service in [Service::Producer, Service::Consumer] {
        for address in addresses(service).await.unwrap() {
            let config = config::Health { address, ..config::Health::default() };
            for ready in [false, true] {
                Ask { ready, port: None }.execute(&config, service).await.unwrap();
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs the Compose stack"]
async fn a_user_of_the_broker_may_do_what_it_needs_and_nothing_else() {
    let connect = async |user: User, name: &str| {
        let url = with_password(&format!("nats://{name}@nats:4222"), name);
        let config = config::Nats { url: Some(url), ..config::Nats::default() };
        nats::connect_as(&config, user, "test", &Shutdown::new()).await.unwrap().jetstream
    };
    let producer = connect(User::Producer, "producer").await;
    let consumer = connect(User::Consumer, "consumer").await;
    let operator = connect(User::Operator, "operator").await;
    assert!(operator.get_stream(STREAM).await.is_ok());
    assert!(consumer.get_stream(STREAM).await.is_ok());
    // What is refused is not answered.
    let events = producer.get_stream(STREAM).await.unwrap();
    let reader = pull::Config { inactive_threshold: INACTIVE, ..pull::Config::default() };
    let (read, published) = tokio::join!(events.create_consumer(reader), async {
        consumer.publish("events.view", "forged".into()).await.unwrap().await
    });
    assert!(read.is_err(), "the producer reads nothing");
    assert!(published.is_err(), "the consumer publishes no event: {published:?}");
}
