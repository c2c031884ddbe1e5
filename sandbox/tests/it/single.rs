use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::{Nats, Options, Postgres, testing};
use secrecy::ExposeSecret as _;

use crate::bed::{Bed, eventually, greeting, is_alive, query, signal};

#[tokio::test]
async fn a_killed_nats_server_restarts_in_the_same_place() {
    let bed = Bed::new();
    let nats = Nats::start(&bed.options, bed.path()).await.unwrap();
    let (pid, port, url) = (nats.pid(), nats.port(), nats.url());
    assert!(greeting(port).unwrap().contains("\"jetstream\":true"));
    signal("KILL", pid);
    eventually("the server is gone", Duration::from_secs(5), || !is_alive(pid));
    drop(nats);
    let nats = Nats::start(&bed.options, bed.path()).await.unwrap();
    assert_ne!(nats.pid(), pid);
    assert_eq!((nats.port(), nats.url().expose_secret()), (port, url.expose_secret()));
    nats.stop().await.unwrap();
    assert!(greeting(port).is_err());
}

#[tokio::test]
async fn a_killed_postgres_restarts_in_the_same_place() {
    let bed = Bed::new();
    let postgres = Postgres::start(&bed.options, bed.path()).await.unwrap();
    let url = postgres.create_database("kept").await.unwrap();
    signal("KILL", postgres.pid());
    drop(postgres);
    let postgres = Postgres::start(&bed.options, bed.path()).await.unwrap();
    assert_eq!(query(&bed.options, &url, "SELECT current_database()").await, "kept");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_closed_to_others_works() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let options = Options::new(dir.path().join("data"));
    let sandbox = sandbox::Sandbox::start(&options, sandbox::Services::BOTH).await.unwrap();
    let url = sandbox.endpoints().database_url.clone().unwrap();
    assert_eq!(query(&options, &url, "SELECT 1").await, "1");
    sandbox.stop().await.unwrap();
    let cluster = fs::canonicalize(dir.path().join("data/sandbox/postgres")).unwrap();
    sandbox::remove(&options).unwrap();
    assert!(!cluster.exists());
}

#[tokio::test]
async fn test_databases_share_a_cluster() {
    let (one, two) = (testing::postgres_database().await, testing::postgres_database().await);
    let options = Options::new("unused");
    query(&options, &one, "CREATE TABLE only_here ()").await;
    assert_eq!(query(&options, &two, "SELECT to_regclass('only_here') IS NULL").await, "t");
}

#[test]
fn the_shared_cluster_outlives_a_runtime() {
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = testing::postgres_database().await;
            assert_eq!(query(&Options::new("unused"), &url, "SELECT 1").await, "1");
        });
    }
}

#[tokio::test]
async fn a_test_server_leaves_nothing() {
    let nats = testing::nats().await;
    let port = nats.port().to_string();
    let places = [Path::new("/tmp").to_owned(), std::env::temp_dir()];
    let dirs = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten();
    let mut dirs = dirs.map(|dir| dir.unwrap().path());
    let is_its_own =
        |dir: &PathBuf| fs::read_to_string(dir.join("nats.port")).is_ok_and(|written| written.trim() == port);
    let dir = dirs.find(is_its_own).expect("the server has a directory");
    drop(nats);
    eventually("the directory is removed", Duration::from_secs(5), || !dir.exists());
}
