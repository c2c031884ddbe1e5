//! Who may know whom: imports run one way, and only `cli` sees both ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 5] = ["common", "producer", "consumer", "sandbox", "cli"];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Names in the dependency sections of a member's Cargo.toml; `dev` ones too where wanted.
fn dependencies(member: &str, dev: bool) -> BTreeSet<String> {
    let manifest = fs::read_to_string(workspace().join(member).join("Cargo.toml")).unwrap();
    let mut section = "";
    let mut names = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            || section == "[build-dependencies]"
            || (dev && section == "[dev-dependencies]")
        {
            names.extend(
                line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()).map(str::to_owned),
            );
        }
    }
    names
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn members_depend_on_nobody_they_must_not_know() {
    let forbidden: [(&str, &[&str]); 4] = [
        ("common", &["producer", "consumer", "sandbox", "cli", "csv", "sqlx"]),
        ("producer", &["consumer", "sandbox", "cli", "sqlx"]),
        ("consumer", &["producer", "sandbox", "cli", "csv"]),
        ("sandbox", &["producer", "consumer", "cli", "common", "csv", "sqlx"]),
    ];
    for (member, unknown) in forbidden {
        let known = dependencies(member, false);
        assert!(!known.is_empty(), "{member} has no dependency: the manifest is not read rightly");
        let met: Vec<_> = unknown.iter().filter(|name| known.contains(**name)).collect();
        assert!(met.is_empty(), "{member} must not depend on {met:?}");
    }
    // Tests may start services, but stay on their side too.
    for (member, other) in [("producer", "consumer"), ("consumer", "producer"), ("sandbox", "common")] {
        assert!(!dependencies(member, true).contains(other), "tests of {member} must not depend on {other}");
    }
}

/// Modules of the tailer and of the consumer, in the order in which rows flow: each may import those before it, the
/// pipeline all of them, and none the pipeline.
#[test]
fn stages_never_import_the_pipeline() {
    for member in MEMBERS {
        let mut files = Vec::new();
        sources(&workspace().join(member).join("src"), &mut files);
        let above = ["pipeline.rs", "lib.rs", "main.rs", "cli.rs"];
        let is_above = |path: &Path| {
            above.contains(&path.file_name().unwrap().to_str().unwrap())
                || path.components().any(|part| matches!(part.as_os_str().to_str(), Some("cli")))
        };
        for path in
            files.iter().filter(|path| !is_above(path.strip_prefix(workspace().join(member)).unwrap()))
        {
            let text = fs::read_to_string(path).unwrap();
            for line in text.lines().filter(|line| {
                line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ")
            }) {
                assert!(
                    !line.contains("crate::pipeline") && !line.contains("crate::cli"),
                    "{}: {line}",
                    path.display()
                );
            }
        }
    }
}
