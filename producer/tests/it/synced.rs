//! A power failure: what was not synced is gone. A library between the program and the system notes what is written,
//! synced and renamed, and in which order; from that the test tells what such a failure would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::test_env::{TestEnv, rows};

/// Compiled with the C compiler that links Rust programs.
fn library(dir: &Path) -> std::path::PathBuf {
    let (source, library) = (dir.join("synced.c"), dir.join("synced.so"));
    fs::write(&source, include_str!("synced.c")).unwrap();
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
    assert!(compiled.unwrap().success());
    library
}

/// What a power failure would take at some moment after it was relied on: names and contents of files, and what the
/// store knows when rows of a file are first sent, or when a file has left its place.
fn would_be_lost(trace: &str, store: &Path) -> Vec<String> {
    let mut lost = Vec::new();
    let mut unsynced = BTreeSet::new();
    // Directory -> names in it that are not on disk.
    let mut renamed = BTreeMap::<String, BTreeSet<String>>::new();
    let of_store = |unsynced: &BTreeSet<String>, when: &str| -> Vec<String> {
        let files = unsynced.iter().filter(|path| Path::new(path).starts_with(store));
        files.filter(|path| !path.ends_with("-shm")).map(|path| format!("{path}: unsynced {when}")).collect()
    };
    let mut is_sent = false;
    for line in trace.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["w", path] => drop(unsynced.insert(path.to_owned())),
            ["s", path] => {
                if path.ends_with("/archive") {
                    lost.extend(of_store(&unsynced, "when a file was archived"));
                }
                unsynced.remove(path);
                renamed.remove(path);
            }
            ["n", _] if !std::mem::replace(&mut is_sent, true) => {
                lost.extend(of_store(&unsynced, "when rows were sent"));
            }
            ["n", _] => {}
            ["r", from, to] => {
                let dir = to.rsplit_once('/').unwrap().0.to_owned();
                // The next one counts on the one before.
                lost.extend(
                    renamed.remove(&dir).into_iter().flatten().map(|name| format!("{name}: its name")),
                );
                if unsynced.remove(from) {
                    lost.push(format!("{to}: its content"));
                }
                renamed.entry(dir).or_default().insert(to.to_owned());
            }
            _ => panic!("{line}"),
        }
    }
    lost.extend(renamed.into_values().flatten().map(|name| format!("{name}: its name")));
    // Positions of acknowledged rows, and the state of the file: written when the producer ended.
    lost.extend(of_store(&unsynced, "at the end"));
    lost
}

#[tokio::test]
async fn a_power_failure_leaves_whole_checkpoints() {
    // Written only where it must be, so that each write of the store belongs to what follows it.
    let env = TestEnv::start_with(|config| config.tail.checkpoint_every = Duration::from_hours(1)).await;
    env.land("a.csv", rows(1..=20));
    let (library, trace) = (library(&env.aside(".")), env.aside("trace"));
    let environment = [
        ("LD_PRELOAD", library.as_path()),
        ("SYNC_TRACE", trace.as_path()),
        ("SYNC_TRACE_DIR", env.config.data_dir.as_path()),
    ];
    let closing = env.close_all();
    let ended = env.producer_with(&environment, "", &["tail", "--once"]).end().await;
    drop(closing);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let count = |is_it: &dyn Fn(&str) -> bool| trace.lines().filter(|line| is_it(line)).count();
    // The store, the id of the directory, the limit of revisions.
    assert_eq!(count(&|line| line.starts_with("r ")), 3, "{trace}");
    // The file when it was met, on its way to the archive, and there.
    assert!(count(&|line| line.starts_with("s ") && line.ends_with(".db-wal")) >= 3, "{trace}");
    assert!(count(&|line| line.starts_with("s ") && line.ends_with("/archive")) == 1, "{trace}");
    assert!(count(&|line| line == "n rows") >= 1, "{trace}");
    let lost = would_be_lost(&trace, &env.config.checkpoint_dir());
    assert_eq!(lost, Vec::<String>::new(), "{trace}");
}
