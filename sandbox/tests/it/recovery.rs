use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sandbox::{Options, Sandbox, Services};

use crate::bed::{Bed, eventually, is_alive, pids, query, signal};

const OWNED_DIR: &str = "MILLRACE_TEST_OWNED_DIR";

/// Not a test of its own: the process that owns the services in the tests below, which kill it.
#[tokio::test]
async fn owner() {
    let Some(dir) = env::var_os(OWNED_DIR) else { return };
    let mut sandbox = Sandbox::start(&Options::new(PathBuf::from(dir)), Services::BOTH).await.unwrap();
    panic!("{}", sandbox.ended().await);
}

fn owner_in(bed: &Bed) -> Child {
    let owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "recovery::owner"])
        .env(OWNED_DIR, &bed.options.data_dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the owner's services run", Duration::from_mins(1), || {
        matches!(sandbox::attach(&bed.options.data_dir), Ok(Some(_)))
    });
    owner
}

#[tokio::test]
async fn a_killed_owner_leaves_no_service_and_loses_no_commit() {
    let bed = Bed::new();
    let mut owner = owner_in(&bed);
    let url = sandbox::attach(&bed.options.data_dir).unwrap().unwrap().database_url.unwrap();
    query(&bed.options, &url, "CREATE TABLE kept AS SELECT generate_series(1, 100000) AS row").await;
    let services = pids(&bed);
    assert_eq!(services.len(), 2);
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the services are gone", Duration::from_secs(2), || {
        !services.iter().any(|pid| is_alive(*pid))
    });
    assert!(sandbox::attach(&bed.options.data_dir).unwrap().is_none());

    let sandbox = bed.start().await;
    assert_eq!(bed.sql(&sandbox, "SELECT count(*) FROM kept").await, "100000");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_at_once_after_a_kill_waits_for_the_old_services() {
    let bed = Bed::new();
    let mut owner = owner_in(&bed);
    owner.kill().unwrap();
    owner.wait().unwrap();
    let sandbox = bed.start().await;
    assert_eq!(bed.sql(&sandbox, "SELECT 1").await, "1");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_service_that_dies_is_named_with_its_log() {
    let bed = Bed::new();
    let mut sandbox = bed.start().await;
    let not_yet = tokio::time::timeout(Duration::ZERO, sandbox.ended()).await;
    assert!(not_yet.is_err());
    signal("KILL", pids(&bed)[0]);
    let error = sandbox.ended().await.to_string();
    assert!(error.contains("nats-server ended by itself with signal 9"), "{error}");
    assert!(error.contains("nats.log") && error.contains("Server is ready"), "{error}");
    sandbox.stop().await.unwrap();
}
