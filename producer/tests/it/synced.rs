//! A power failure: what was not synced is gone. A library between the program and the system notes what is written,
//! synced and renamed, and in which order; from that the test tells what such a failure would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bed::{Bed, rows};

/// Compiled with the C compiler that links Rust programs.
fn library(dir: &Path) -> std::path::PathBuf {
    let (source, library) = (dir.join("synced.c"), dir.join("synced.so"));
    fs::write(&source, include_str!("synced.c")).unwrap();
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
    assert!(compiled.unwrap().success());
    library
}

/// The files that a power failure would find empty or old at some moment after they were to be there.
fn would_be_lost(trace: &str) -> Vec<String> {
    let mut lost = Vec::new();
    let mut unsynced = BTreeSet::new();
    // Directory -> names in it that are not on disk.
    let mut renamed = BTreeMap::<String, BTreeSet<String>>::new();
    for line in trace.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["w", path] => drop(unsynced.insert(path.to_owned())),
            ["s", path] => {
                unsynced.remove(path);
                renamed.remove(path);
            }
            ["r", from, to] => {
                let dir = to.rsplit_once('/').unwrap().0.to_owned();
                // The next checkpoint counts on the one before.
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
    lost
}

#[tokio::test]
async fn a_power_failure_leaves_whole_checkpoints() {
    let bed = Bed::start().await;
    bed.land("a.csv", rows(1..=20));
    let (library, trace) = (library(&bed.aside(".")), bed.aside("trace"));
    let checkpoints = bed.config.checkpoint_dir();
    let environment = [
        ("LD_PRELOAD", library.as_path()),
        ("SYNC_TRACE", trace.as_path()),
        ("SYNC_TRACE_DIR", checkpoints.as_path()),
    ];
    let closing = bed.close_all();
    let status = bed.producer_with(&environment, "", &["tail", "--once"]).end().await;
    drop(closing);
    assert!(status.success(), "{status}");
    let trace = fs::read_to_string(trace).unwrap();
    let renamed = trace.lines().filter(|line| line.starts_with("r ")).count();
    // The id of the directory, the revisions, and the file when it was met, archived and in the archive.
    assert!(renamed >= 5, "{trace}");
    assert_eq!(would_be_lost(&trace), Vec::<String>::new(), "{trace}");
}
