//! `docs/test-cases.md` names tests that exist, and every test of a delivery rule.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 6] = ["common", "producer", "ledger", "consumer", "sandbox", "cli"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The names of all tests: functions below a line with `test]`, `test(…)]` or within `proptest!`.
fn tests() -> BTreeSet<String> {
    let dirs = MEMBERS
        .iter()
        .flat_map(|member| [root().join(member).join("src"), root().join(member).join("tests")]);
    let mut found = BTreeSet::new();
    for file in
        dirs.flat_map(|dir| sources(&dir)).filter(|file| file.extension().is_some_and(|end| end == "rs"))
    {
        let mut is_test = false;
        for line in fs::read_to_string(file).unwrap().lines().map(str::trim_start) {
            if line.starts_with("#[") {
                is_test |= line.contains("test]") || line.contains("::test(");
            } else if let Some(rest) = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")) {
                if is_test {
                    let name = rest.split(['(', '<']).next().unwrap_or_default();
                    found.insert(name.to_owned());
                }
                is_test = false;
            }
        }
    }
    found
}

/// What stands between backticks in the last column of each table.
fn named() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/test-cases.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    let cells = rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_test_cases_that_are_documented_exist_and_no_rule_is_left_out() {
    let (tests, named) = (tests(), named());
    assert!(tests.len() > 200 && named.len() > 100, "{} tests, {} named", tests.len(), named.len());
    let gone: Vec<_> = named.difference(&tests).collect();
    assert!(gone.is_empty(), "docs/test-cases.md names tests that do not exist: {gone:#?}");
    let left_out: Vec<_> = tests.difference(&named).filter(|name| name.starts_with("rule_")).collect();
    assert!(left_out.is_empty(), "docs/test-cases.md leaves out: {left_out:#?}");
}
