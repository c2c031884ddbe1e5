use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sandbox::Services;

use crate::bed::Bed;

#[tokio::test]
async fn data_is_there_after_a_restart() {
    let bed = Bed::named("a path with spaces, 'quotes\" and ünïcode");
    let sandbox = bed.start().await;
    bed.sql(&sandbox, "CREATE TABLE kept AS SELECT 42 AS answer").await;
    sandbox.stop().await.unwrap();
    let sandbox = bed.start().await;
    assert_eq!(bed.sql(&sandbox, "SELECT answer FROM kept").await, "42");
    sandbox.stop().await.unwrap();
    let log = fs::read_to_string(bed.file("postgres.log")).unwrap();
    assert!(!log.contains("was not properly shut down"), "{log}");
}

#[tokio::test]
async fn commits_are_durable() {
    let bed = Bed::new();
    let sandbox = bed.start().await;
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(bed.sql(&sandbox, &format!("SHOW {setting}")).await, "on", "{setting}");
    }
    assert_eq!(bed.sql(&sandbox, "SHOW server_encoding").await, "UTF8");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn secrets_are_for_the_owner_only() {
    let bed = Bed::new();
    let sandbox = bed.start().await;
    for name in ["password", "running.json", "nats.conf"] {
        let mode = fs::metadata(bed.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let password = fs::read_to_string(bed.file("password")).unwrap();
    assert!(!format!("{sandbox:?}").contains(password.trim()));
    assert!(!bed.file("postgres.secret").exists());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_external_url_replaces_one_service() {
    let bed = Bed::new();
    let sandbox =
        sandbox::Sandbox::start(&bed.options, Services { nats: true, postgres: false }).await.unwrap();
    assert!(sandbox.endpoints().nats_url.is_some());
    assert!(sandbox.endpoints().database_url.is_none());
    assert!(!bed.file("postgres").exists());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn remove_deletes_its_own_files_only() {
    let bed = Bed::new();
    let sandbox = bed.start().await;
    let refused = sandbox::remove(&bed.options).unwrap_err().to_string();
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
    sandbox.stop().await.unwrap();
    let (mine, theirs) = (bed.options.data_dir.join("sandbox"), bed.options.data_dir.join("orders.csv"));
    fs::write(&theirs, "a user's file").unwrap();
    sandbox::remove(&bed.options).unwrap();
    assert!(!mine.exists() && theirs.exists());
    sandbox::remove(&bed.options).unwrap();
}
