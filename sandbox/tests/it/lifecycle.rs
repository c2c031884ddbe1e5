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
    for name in ["password", "running.json", "nats.conf", "nats.log", "postgres.log", "lock"] {
        let mode = fs::metadata(bed.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let password = fs::read_to_string(bed.file("password")).unwrap();
    assert!(!format!("{sandbox:?}").contains(password.trim()));
    assert!(!bed.file("postgres.secret").exists());
    sandbox.stop().await.unwrap();
}

/// A monitoring port would tell every user of the machine who is connected and what is in the streams.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn nats_server_listens_for_clients_only() {
    let nats = sandbox::testing::nats().await;
    let dir = format!("/proc/{}", nats.pid());
    let sockets: Vec<String> = fs::read_dir(format!("{dir}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
        .filter_map(|target| target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let listening: Vec<String> = ["tcp", "tcp6"]
        .iter()
        .flat_map(|table| {
            let text = fs::read_to_string(format!("{dir}/net/{table}")).unwrap_or_default();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let parts: Vec<&str> = line.split_whitespace().collect();
            let is_ours = parts.get(3) == Some(&"0A")
                && sockets.iter().any(|inode| Some(&inode.as_str()) == parts.get(9));
            is_ours.then(|| parts[1].to_owned())
        })
        .collect();
    assert_eq!(listening, [format!("0100007F:{:04X}", nats.port())]);
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

#[tokio::test]
async fn rule_only_own_files_are_deleted_of_the_sandbox() {
    let bed = Bed::new();
    // A directory of this name that no service has seen.
    let theirs =
        ["postgres/holiday.jpg", "nats/jetstream/notes.txt", "password", "nats.log", "postgres.partial/x"];
    for name in theirs {
        fs::create_dir_all(bed.file(name).parent().unwrap()).unwrap();
        fs::write(bed.file(name), "a user's").unwrap();
    }
    sandbox::remove(&bed.options).unwrap();
    for name in theirs {
        assert!(bed.file(name).exists(), "{name} stays");
    }
    // One in which services have run.
    fs::remove_dir_all(bed.options.data_dir.join("sandbox")).unwrap();
    bed.start().await.stop().await.unwrap();
    let elsewhere = bed.options.data_dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("orders.csv"), "a user's").unwrap();
    fs::write(bed.file("nats/orders.csv"), "a user's").unwrap();
    fs::remove_file(bed.file("postgres.log")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, bed.file("nats/jetstream/link")).unwrap();
    sandbox::remove(&bed.options).unwrap();
    assert!(elsewhere.join("orders.csv").exists() && bed.file("nats/orders.csv").exists());
    assert!(!bed.file("postgres").exists() && !bed.file("nats/jetstream").exists());
}
