use std::collections::BTreeMap;
use std::path::Path;

use super::*;

/// Two decks of 50, where each of the 32 strikes on live files needs a second try.
const BOUND: usize = 2 * (50 + 32);

fn settings(dir: &Path, seed: u64) -> Settings {
    let kinds = Kind::all().iter().copied().collect();
    Settings { seed, dir: dir.to_owned(), pace: 0, kinds }
}

/// How many strikes of each kind there were, after each strike.
fn strikes(seed: u64, mut after_each: impl FnMut(&Path)) -> Vec<BTreeMap<Kind, u64>> {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), seed);
    let mut files = Files::new(&settings).unwrap();
    let strike = |_| {
        files.strike(Mode::All).unwrap();
        after_each(dir.path());
        files.expected.strikes.clone()
    };
    (0..2 * BOUND).map(strike).collect()
}

fn each_comes_within_the_bound(counts: &[BTreeMap<Kind, u64>]) {
    let of = |at: usize, kind: Kind| counts[at].get(&kind).copied().unwrap_or(0);
    for kind in Deck::new(&Kind::all().iter().copied().collect()).kinds() {
        let before = (0..counts.len() - BOUND).find(|at| of(at + BOUND, kind) == of(*at, kind));
        assert_eq!(before, None, "no {kind} in {BOUND} strikes after that");
    }
}

#[test]
fn each_kind_comes_within_a_bounded_number_of_strikes() {
    for seed in 0..3 {
        each_comes_within_the_bound(&strikes(seed, |_| {}));
    }
}

#[test]
fn each_kind_comes_also_where_every_file_is_archived_at_once() {
    for seed in 0..3 {
        each_comes_within_the_bound(&strikes(seed, |dir| {
            for file in fs::read_dir(dir).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
        }));
    }
}

#[test]
fn what_has_not_come_yet_comes_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), 1);
    settings.kinds = [Kind::Kill, Kind::Rotate, Kind::Remove, Kind::Burst].into();
    let mut files = Files::new(&settings).unwrap();
    files.strike_missing().unwrap();
    let kinds: Vec<Kind> = files.expected.strikes.keys().copied().collect();
    assert_eq!(kinds, [Kind::Rotate, Kind::Remove, Kind::Burst]);
}

#[test]
fn rows_are_destroyed_only_while_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), 1);
    let mut files = Files::new(&settings).unwrap();
    for _ in 0..BOUND {
        files.strike(Mode::Grow).unwrap();
    }
    assert!(files.expected.strikes.keys().all(|kind| !kind.destroys_rows()));
    // They kept their turn.
    for _ in 0..20 {
        files.strike(Mode::All).unwrap();
    }
    assert!(files.expected.strikes.keys().any(|kind| kind.destroys_rows()));
}
