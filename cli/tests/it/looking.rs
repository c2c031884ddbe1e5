//! Commands that only look: where nothing is they make nothing, and what does not answer is said at once.

use std::net::TcpListener;

use crate::bed::Bed;

/// Each, and whether it asks the broker.
const COMMANDS: [(&[&str], bool); 8] = [
    (&["status"], true),
    (&["verify"], false),
    (&["explain", "a.csv:1"], false),
    (&["rejects"], false),
    (&["rejects", "export", "out"], false),
    (&["psql", "-c", "select 1"], false),
    (&["replay", "--dry-run"], true),
    (&["heal", "--dry-run"], true),
];

#[tokio::test]
async fn rule_looking_makes_nothing() {
    let bed = Bed::new();
    for (command, _) in COMMANDS {
        let ended = bed.run(command).await;
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{command:?}: {ended:?}");
        assert!(
            ended.err.starts_with("error: there is nothing in my data yet: run `millrace up`"),
            "{}",
            ended.err
        );
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(!bed.data().exists() && !bed.path("out").exists(), "{command:?} makes nothing");
    }
    let ended = bed.run(&["producer", "checkpoint", "list"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("nothing was tailed"), "{}", ended.err);
    let ended = bed.run(&["producer", "check", "nowhere.csv"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!bed.data().exists());
}

#[tokio::test]
async fn rule_looking_does_not_wait() {
    // One port refuses, the other one takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [1, silent.local_addr().unwrap().port()] {
        let database = sandbox::testing::postgres_database().await;
        let database = secrecy::ExposeSecret::expose_secret(&database);
        let (no_nats, no_database) =
            (format!("nats://127.0.0.1:{port}"), format!("postgres://me@127.0.0.1:{port}/db"));
        let nats_limit = ("MILLRACE_NATS__CONNECT_TIMEOUT", "300ms");
        let limits = [nats_limit, ("MILLRACE_DATABASE__ANSWER_TIMEOUT", "2s")];
        for (command, asks_nats) in COMMANDS {
            let bed = Bed::new().with("NATS_URL", &no_nats).with("DATABASE_URL", &no_database);
            let ended = bed.run_with(&limits, command).await;
            assert_ne!(ended.code, Some(0), "{command:?}: {ended:?}");
            assert!(ended.err.contains(&port.to_string()), "{command:?} names the address: {}", ended.err);
            assert!(!bed.data().exists(), "{command:?}");
            if asks_nats {
                let bed = Bed::new().with("NATS_URL", &no_nats).with("DATABASE_URL", database);
                // The database is there, however slow.
                let ended = bed.run_with(&[nats_limit], command).await;
                assert_eq!(ended.code, Some(1), "{command:?}: {ended:?}");
                let line = format!("error: nats-server at 127.0.0.1:{port} does not answer within 0.3 s");
                assert!(ended.err.starts_with(&line), "{command:?}: {}", ended.err);
                assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
            }
        }
    }
}
