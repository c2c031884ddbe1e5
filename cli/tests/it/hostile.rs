//! File names, headers and values that would change a terminal, forge a line of output, or make a log tell a secret.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use common::printable::is_unsafe;

use crate::bed::{Bed, Ended, rows};

/// Clears a screen, begins a line, colours, turns the direction around, deletes.
const HOSTILE: &str = "\u{1b}[2J\nFORGED\u{9b}31m\u{202e}\u{7f}\u{200b}";

fn assert_printable(command: &[&str], ended: &Ended) {
    for text in [&ended.out, &ended.err] {
        let found = text.chars().find(|c| *c != '\n' && is_unsafe(*c));
        assert_eq!(found, None, "{command:?}: {text:?}");
        assert_eq!(text.lines().find(|line| line.starts_with("FORGED")), None, "{command:?}: {text}");
    }
}

#[tokio::test]
async fn rule_nothing_controls_the_terminal_in_any_command() {
    let bed = Bed::new();
    let name = format!("in/a{HOSTILE}.csv");
    let header = format!("event_id,event_type,event_timestamp,\"note{HOSTILE}\",price\n");
    let rows = [
        format!("1,view,2024-03-13T10:21:14Z,\"value{HOSTILE}\",1.50\n"),
        format!("1,view,2024-03-13T10:21:14Z,\"another{HOSTILE}\",1.50\n"),
        format!("2,view,2024-03-13T10:21:14Z,x,\"cheap{HOSTILE}\"\n"),
        format!("3,\"look{HOSTILE}\",2024-03-13T10:21:14Z,x,1.50\n"),
        format!("4,view,\"then{HOSTILE}\",x,1.50\n"),
    ];
    bed.write(&name, header + &rows.concat());
    bed.write("in/parked.csv", format!("\"a{HOSTILE}\",\"b{HOSTILE}\"\n1,2\n"));
    bed.write(&format!("in/{HOSTILE}.csv"), "a,b\n1,2\n");
    bed.write(&format!("in/{HOSTILE}.txt"), "");
    let up = ["up", "--once", "--input", "in"];
    let ended = bed.run(&up).await;
    assert_printable(&up, &ended);
    assert!(
        ended.out.contains("\\u{1b}[2J\\nFORGED\\u{9b}31m\\u{202e}"),
        "it is shown, escaped: {}",
        ended.out
    );
    let json = bed.run_with(
        &[("MILLRACE_LOG__FORMAT", "json"), ("RUST_LOG", "debug")],
        &["up", "--once", "--input", "in", "--json"],
    );
    let json = json.await;
    assert_printable(&["up", "--json"], &json);
    assert_eq!(json.json()["files"][0]["file"], name, "as it is, for scripts");
    for line in json.err.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let row = |number: u32| format!("{name}:{number}");
    let rows: Vec<String> = (1..=9).map(row).collect();
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["producer", "check", &name, "in/parked.csv"],
        vec!["producer", "checkpoint", "list"],
        vec!["verify"],
        vec!["verify", "--json"],
        vec!["status"],
        vec!["rejects"],
        vec!["rejects", "--json"],
        vec!["rejects", "--file", &name],
        vec!["rejects", "--file", HOSTILE],
        vec!["rejects", "--reason", "bad_price"],
        vec!["rejects", "export", "out"],
        vec!["rejects", "retry", &name],
        vec!["explain", HOSTILE],
        vec!["explain", "1"],
        vec!["replay", "--dry-run"],
        vec!["replay", "--file", &name, "--dry-run"],
        vec!["heal", "--dry-run"],
        vec!["heal"],
    ];
    commands.extend(rows.iter().flat_map(|row| [vec!["explain", row], vec!["explain", row, "--json"]]));
    // A row that is gone is named by what tells of it.
    bed.sql("delete from events where source_row = 1").await;
    for command in commands {
        let ended = bed.run(&command).await;
        assert_printable(&command, &ended);
        assert!(!ended.err.contains("panicked"), "{command:?}: {}", ended.err);
    }
    let exported =
        fs::read_dir(bed.path("out")).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let exported = exported.fold(Vec::new(), |all, one| [all, one].concat());
    assert!(String::from_utf8(exported).unwrap().contains(&format!("cheap{HOSTILE}")), "data stays as it is");
}

#[tokio::test]
async fn a_name_that_is_no_text_is_parked_and_told() {
    let bed = Bed::new();
    bed.write("in/a.csv", rows(1..=2));
    let name = OsStr::from_bytes(b"b\xff.csv");
    fs::write(bed.path("in").join(name), rows(1..=2)).unwrap();
    for json in [true, false] {
        let command: &[&str] = if json {
            &["up", "--once", "--input", "in", "--json"]
        } else {
            &["up", "--once", "--input", "in"]
        };
        let ended = bed.run(command).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.out.contains("in/b\u{fffd}.csv"), "{ended:?}");
        assert!(!json || ended.json()["total"]["events"] == 2, "{ended:?}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_a_failure() {
    let bed = Bed::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = bed.command(&["up", "--print-config"]);
    let child = command.stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: failed to write to standard output"), "{said}");
    let mut command = bed.command(&["up", "--print-config"]);
    assert_eq!(command.stdout(full()).stderr(full()).status().await.unwrap().code(), Some(1), "and no panic");
}

#[tokio::test]
async fn rule_no_secret_is_logged_at_any_level() {
    for format in ["human", "json"] {
        let bed = Bed::new();
        let logs = bed.path("logs");
        let variables = [
            ("RUST_LOG", "trace,async_nats=trace,sqlx=trace"),
            ("MILLRACE_LOG__FORMAT", format),
            ("MILLRACE_LOG__DIR", logs.to_str().unwrap()),
        ];
        let ended = bed.run_with(&variables, &["up", "--count", "50"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let password = fs::read_to_string(bed.data().join("sandbox/password")).unwrap();
        let files =
            fs::read_dir(&logs).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        for text in files.chain([ended.out, ended.err]) {
            let line = text.lines().find(|line| line.contains(password.trim()));
            assert_eq!(line, None, "the password is logged");
        }
        let log = fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
        let log = fs::read_to_string(log).unwrap();
        let is_hidden = log.lines().any(|line| line.contains("ServerAddr") && line.contains("***"));
        assert!(is_hidden, "the client has logged it, and it was taken out");
    }
}
