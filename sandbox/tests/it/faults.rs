use std::fs;
use std::path::Path;
use std::time::Duration;

use sandbox::{Process, Server};

use crate::bed::{Bed, eventually, greeting, is_alive, pids};

/// Longer than anything takes, so that only a mistake reaches it.
const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data_at_its_address() {
    let bed = Bed::new();
    let mut sandbox = bed.start().await;
    bed.sql(&sandbox, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS row").await;
    let before = pids(&bed);
    for server in [Server::Nats, Server::Postgres] {
        sandbox.kill(server).await.unwrap();
        sandbox.kill(server).await.unwrap();
        sandbox.restart(server).await.unwrap();
        assert!(sandbox.has_ended(server).is_none());
    }
    let after = pids(&bed);
    assert!(before.iter().all(|pid| !is_alive(*pid) && !after.contains(pid)), "{before:?} {after:?}");
    // The address of before is all that a client knows.
    assert_eq!(bed.sql(&sandbox, "SELECT count(*) FROM kept").await, "1000");
    let log = fs::read_to_string(bed.file("postgres.log")).unwrap();
    assert!(log.contains("was not properly shut down"), "it was a crash: {log}");
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_put_back_to_its_copy_and_a_store_is_removed() {
    let bed = Bed::new();
    let mut sandbox = bed.start().await;
    bed.sql(&sandbox, "CREATE TABLE kept AS SELECT generate_series(1, 10) AS row").await;
    sandbox.kill(Server::Postgres).await.unwrap();
    sandbox.copy_cluster().await.unwrap();
    sandbox.restart(Server::Postgres).await.unwrap();
    bed.sql(&sandbox, "INSERT INTO kept VALUES (11)").await;
    sandbox.kill(Server::Postgres).await.unwrap();
    sandbox.put_back_cluster().await.unwrap();
    sandbox.restart(Server::Postgres).await.unwrap();
    assert_eq!(bed.sql(&sandbox, "SELECT count(*) FROM kept").await, "10");
    sandbox.kill(Server::Postgres).await.unwrap();
    let error = sandbox.put_back_cluster().await.unwrap_err();
    assert!(error.to_string().contains(".copy"), "a copy is put back once: {error}");
    sandbox.restart(Server::Postgres).await.unwrap();

    fs::write(bed.file("nats").join("left"), "").unwrap();
    sandbox.remove_store().await.unwrap();
    assert!(!bed.file("nats").exists());
    sandbox.restart(Server::Nats).await.unwrap();
    assert!(!bed.file("nats").join("left").exists());
    sandbox.stop().await.unwrap();
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_frozen_server_answers_again_when_it_is_let_go() {
    let bed = Bed::new();
    let sandbox = bed.start().await;
    for (server, pid) in [Server::Nats, Server::Postgres].into_iter().zip(pids(&bed)) {
        let frozen = sandbox.freeze(server).await.unwrap();
        eventually("it stands still, and its children too", LONG, || {
            let all = children(pid).into_iter().chain([pid]);
            // One that has ended waits for its parent.
            all.map(state).all(|state| "TZ".contains(state))
        });
        assert!(server == Server::Nats || children(pid).len() > 3);
        frozen.thaw().await;
        eventually("it goes on", LONG, || state(pid) != 'T');
    }
    assert_eq!(bed.sql(&sandbox, "SELECT 1").await, "1");
    let port = fs::read_to_string(bed.file("nats.port")).unwrap().trim().parse().unwrap();
    assert!(greeting(port).unwrap().contains("\"jetstream\":true"));
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_program_of_the_owner_runs_under_the_same_guard() {
    let bed = Bed::new();
    fs::create_dir_all(&bed.options.data_dir).unwrap();
    let log = bed.options.data_dir.join("shell.log");
    let start = |script: &'static str| {
        let log = log.clone();
        async move {
            let set = move |command: &mut std::process::Command| {
                command.args(["-c", script]);
            };
            Process::start("shell", Path::new("/bin/sh"), &log, set).await.unwrap()
        }
    };
    let process = start("echo said; exit 3").await;
    assert_eq!(process.ended().await.code(), Some(3));
    assert_eq!(fs::read_to_string(&log).unwrap(), "said\n");

    let process = start("while :; do sleep 0.01; done").await;
    let pid = process.pid();
    assert!(process.has_ended().is_none() && is_alive(pid));
    process.kill().await.unwrap();
    assert!(!is_alive(pid));

    let process = start("trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done").await;
    eventually("it has set its trap", LONG, || fs::read_to_string(&log).unwrap().ends_with("ready\n"));
    assert_eq!(process.stop().await.unwrap().code(), Some(4));
}

/// The letter that proc(5) gives for what a process does; `T` stands still.
#[cfg(target_os = "linux")]
fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).unwrap_or('?')
}

#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|child| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&pid.to_string())
    })
    .collect()
}
