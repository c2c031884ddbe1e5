//! Who may know whom: imports run one way, main -> pipeline -> stages -> common, and only `cli` sees both ends.

use std::fs;
use std::path::{Path, PathBuf};

/// A member, and what it must not know: dependencies in its manifest, and paths in its sources.
const UNKNOWN: [(&str, &[&str]); 5] = [
    ("common", &["producer", "ledger", "consumer", "sandbox", "cli", "csv", "sqlx"]),
    ("producer", &["ledger", "consumer", "cli", "sqlx"]),
    ("ledger", &["producer", "consumer", "sandbox", "cli", "csv", "async-nats"]),
    ("consumer", &["producer", "cli", "csv"]),
    ("sandbox", &["producer", "ledger", "consumer", "cli", "common", "csv", "sqlx"]),
];
/// Parts of a crate that stand above its stages.
const ABOVE: [&str; 4] = ["pipeline", "cli", "main", "lib"];

fn member(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

/// The files below a directory, tests included.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The lines that import something, also within another path.
fn imports(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let is_import = |line: &&str| line.trim_start().trim_start_matches("pub ").starts_with("use ");
    text.lines().filter(is_import).map(|line| line.trim_start().to_owned()).collect()
}

#[test]
fn members_know_nobody_they_must_not_know() {
    for (name, unknown) in UNKNOWN {
        let manifest = fs::read_to_string(member(name).join("Cargo.toml")).unwrap();
        let files = [sources(&member(name).join("src")), sources(&member(name).join("tests"))].concat();
        assert!(manifest.contains(".workspace = true") && files.len() > 5, "{name} is read");
        for other in unknown {
            let depends = manifest.lines().any(|line| line.starts_with(&format!("{other}.")));
            assert!(!depends, "{name}/Cargo.toml must not name {other}");
            let start = format!("use {other}::");
            let found = files.iter().find(|file| imports(file).iter().any(|line| line.starts_with(&start)));
            assert_eq!(found, None, "{name} must not import {other}");
        }
        // Services are for tests: what is shipped finds them by URL.
        let shipped = manifest.split("[dev-dependencies]").next().unwrap();
        assert!(!shipped.contains("\nsandbox."), "only tests of {name} may start services");
    }
}

#[test]
fn stages_never_import_what_wires_them() {
    for name in ["producer", "consumer"] {
        let src = member(name).join("src");
        for file in sources(&src) {
            let part = file.strip_prefix(&src).unwrap().components().next().unwrap();
            if ABOVE.iter().any(|above| Path::new(&part).with_extension("") == Path::new(above)) {
                continue;
            }
            let up = |line: &String| line.contains("crate::pipeline") || line.contains("crate::cli");
            assert_eq!(imports(&file).into_iter().find(up), None, "{}", file.display());
        }
    }
}
