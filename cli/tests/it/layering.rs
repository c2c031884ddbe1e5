//! Imports run one way: between the members of the workspace, and between the modules of each member.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

type Names = &'static [&'static str];

/// Each member, what it must not use, and its modules in layers: a module imports only from the layers before its own.
const MEMBERS: [(&str, Names, &[Names]); 6] = [
    (
        "common",
        &["producer", "ledger", "consumer", "sandbox", "cli", "csv", "sqlx"],
        &[
            &["clock", "event", "fault", "origin", "printable", "problem", "secrets", "shutdown"],
            &["report", "rows", "wire"],
            &["config", "retry"],
            &["health", "nats", "telemetry"],
            &["stream"],
        ],
    ),
    (
        "producer",
        &["ledger", "consumer", "cli", "sqlx"],
        &[
            &["csv", "file", "land", "lock", "progress", "purge", "tailer_message"],
            &["generate", "map"],
            &["file_reader"],
            &["checkpoint"],
            &["archive", "closed", "positions", "stream_loss", "unread"],
            &["rebuild", "tail"],
            &["check", "publish"],
            &["heal", "pipeline"],
            &["cli"],
        ],
    ),
    (
        "ledger",
        &["producer", "consumer", "sandbox", "cli", "csv", "async_nats"],
        &[
            &["batch_id", "sqlstate"],
            &["error", "rollback"],
            &["connect"],
            &["commits", "file_totals", "replicas", "row_outcomes", "session"],
            &["migrate"],
            &["file_rows", "rejects", "repair", "row_history"],
        ],
    ),
    (
        "consumer",
        &["producer", "cli", "csv"],
        &[
            &["close", "counts", "fetch", "handover", "progress"],
            &["decode"],
            &["batch"],
            &["write"],
            &["ack", "replay"],
            &["pipeline"],
            &["cli"],
        ],
    ),
    (
        "sandbox",
        &["producer", "ledger", "consumer", "cli", "common", "csv", "sqlx"],
        &[
            &["aside", "command", "error", "hex", "options", "progress", "proxy", "wait", "wheels"],
            &["account", "log", "password", "port", "version"],
            &["guard", "unpack"],
            &["fetch", "frozen", "process"],
            &["locate", "testing"],
            &["cluster", "nats"],
            &["postgres"],
            &["fault", "state"],
            &["psql", "remove", "start"],
        ],
    ),
    (
        "cli",
        &[],
        &[
            &["run_report", "services"],
            &["live", "psql", "status", "verify"],
            &["chaos", "explain", "heal", "up"],
            &["rejects"],
            &["cli"],
        ],
    ),
];

fn member(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

/// The files below a directory.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// What is shipped of a file: its text without comments and without its module of tests.
fn shipped(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let shipped = text.split("#[cfg(test)]").next().unwrap();
    shipped.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first names after each `start`: that of `use crate::a::b`, those of `use crate::{a, b::c}`, and so on.
fn names_after<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let first = |path: &'a str| path.split(|sign: char| !sign.is_alphanumeric() && sign != '_').next();
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices(start) {
        let rest = &text[at + start.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.extend(first(rest));
            continue;
        };
        let mut depth = 0;
        let is_outer_comma = |sign: char| {
            depth += i32::from(sign == '{') - i32::from(sign == '}');
            sign == ',' && depth == 0
        };
        let list = list.split(';').next().unwrap();
        names.extend(list.split(is_outer_comma).filter_map(|path| first(path.trim())));
    }
    names
}

#[test]
fn members_use_only_members_below_them() {
    for (name, unknown, _) in MEMBERS {
        let manifest = fs::read_to_string(member(name).join("Cargo.toml")).unwrap();
        let files = [sources(&member(name).join("src")), sources(&member(name).join("tests"))].concat();
        assert!(manifest.contains(".workspace = true") && files.len() > 5, "{name} is read");
        for other in unknown {
            let depends =
                manifest.lines().any(|line| line.replace('-', "_").starts_with(&format!("{other}.")));
            assert!(!depends, "{name}/Cargo.toml must not name {other}");
            let import = format!("use {other}::");
            let imports = |path: &&PathBuf| {
                let text = fs::read_to_string(path).unwrap();
                text.lines().any(|line| line.trim_start().trim_start_matches("pub ").starts_with(&import))
            };
            assert_eq!(files.iter().find(imports), None, "{name} must not import {other}");
        }
        // Services are for tests: what is shipped finds them by URL.
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        assert!(
            name == "cli" || !dependencies.contains("\nsandbox."),
            "only tests of {name} may start services"
        );
    }
}

#[test]
fn imports_never_run_back_up() {
    for (name, _, layers) in MEMBERS {
        let src = member(name).join("src");
        let layer_of = |module: &str| layers.iter().position(|layer| layer.contains(&module));
        let mut seen = BTreeSet::new();
        for file in sources(&src) {
            let part = file.strip_prefix(&src).unwrap().components().next().unwrap();
            let part = Path::new(&part).with_extension("");
            let module = part.to_str().unwrap();
            if module == "lib" || module == "main" || file.ends_with("tests.rs") {
                continue;
            }
            let layer = layer_of(module).unwrap_or_else(|| panic!("{name}: give {module} a layer"));
            seen.insert(module.to_owned());
            for import in names_after(&shipped(&file), "crate::") {
                let is_below = import == module || layer_of(import).is_none_or(|other| other < layer);
                assert!(
                    is_below,
                    "{}: {module} must not import {import}, which is not below it",
                    file.display()
                );
            }
        }
        let listed: BTreeSet<String> = layers.concat().into_iter().map(str::to_owned).collect();
        assert_eq!(seen, listed, "{name}: the layers name its modules");
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::{a, b::{self, C}, d::E};\nuse crate::f::G;\nlet x = crate::h::i();";
    let found = names_after(text, "crate::");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "b", "d", "f", "h"]);
}

/// What is missing there is noticed only where an image is built.
#[test]
fn the_image_is_built_from_every_member() {
    let read = |name| fs::read_to_string(member(name)).unwrap();
    let (manifest, dockerfile, context) = (read("Cargo.toml"), read("Dockerfile"), read(".dockerignore"));
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    for name in members.split('"').skip(1).step_by(2) {
        for line in [format!("COPY {name}/Cargo.toml {name}/"), format!("COPY {name} {name}")] {
            assert!(dockerfile.lines().any(|found| found == line), "Dockerfile: {line}");
        }
        assert!(context.lines().any(|found| found == format!("!{name}")), ".dockerignore: !{name}");
    }
}
