use common::FileId;
use common::origin::Row;

use super::*;

/// A file of `rows_read` rows, by its totals, of which these are there.
fn ledger(state: &str, rows_read: i64, present: &[(Row, Row)]) -> FileRows {
    let mut ledger = FileRows::empty(7, "a.csv".to_owned());
    state.clone_into(&mut ledger.totals.state);
    ledger.totals.rows_read = rows_read;
    ledger.present = present.iter().copied().collect();
    ledger
}

fn known(state: &'static str, rows: i64) -> CheckpointSummary {
    CheckpointSummary {
        file_id: FileId::from(7),
        path: "in/a.csv".into(),
        place: None,
        state,
        rows,
        is_reading: state == "reading",
        is_closed: state == "kept",
    }
}

fn verdicts(ledger: FileRows, tailer: Option<CheckpointSummary>) -> [Verdict; 2] {
    let evidence = Evidence::join(vec![ledger], tailer.into_iter().collect());
    [evidence[0].check(false).verdict, evidence[0].check(true).verdict]
}

#[test]
fn rule_an_open_file_is_never_an_error() {
    assert_eq!(verdicts(ledger("open", 0, &[(3, 9)]), None), [Verdict::Open; 2]);
    assert_eq!(verdicts(ledger("open", 0, &[(3, 9)]), Some(known("reading", 9))), [Verdict::Open; 2]);
}

#[test]
fn a_finished_file_holds_or_waits_or_is_broken() {
    assert_eq!(verdicts(ledger("finished", 9, &[(1, 9)]), None), [Verdict::Holds; 2]);
    assert_eq!(verdicts(ledger("finished", 9, &[(1, 8)]), None), [Verdict::InFlight, Verdict::Broken]);
    assert_eq!(verdicts(ledger("truncated", 9, &[(1, 8)]), None), [Verdict::InFlight, Verdict::Broken]);
    assert_eq!(verdicts(ledger("truncated", 9, &[(1, 12)]), None), [Verdict::Holds; 2]);
}

#[test]
fn rows_that_the_tailer_still_has_are_on_their_way() {
    let behind = known("reading", 8);
    assert_eq!(verdicts(ledger("finished", 9, &[(1, 8)]), Some(behind)), [Verdict::InFlight; 2]);
    let acknowledged = known("reading", 9);
    assert_eq!(
        verdicts(ledger("finished", 9, &[(1, 8)]), Some(acknowledged)),
        [Verdict::InFlight, Verdict::Broken]
    );
}

#[test]
fn a_file_that_grows_is_open_again() {
    assert_eq!(verdicts(ledger("finished", 9, &[(1, 12)]), Some(known("reading", 12))), [Verdict::Open; 2]);
    let put_away = Some(known("kept", 9));
    assert_eq!(verdicts(ledger("finished", 9, &[(1, 12)]), put_away), [Verdict::Broken; 2]);
    // Its checkpoint may be on another machine.
    assert_eq!(verdicts(ledger("finished", 9, &[(1, 12)]), None), [Verdict::Open; 2]);
    let stray = ledger("finished", 9, &[(1, 9), (12, 12)]);
    assert_eq!(verdicts(stray, None), [Verdict::Open, Verdict::Broken]);
    let zeroth = ledger("finished", 9, &[(0, 9)]);
    assert_eq!(verdicts(zeroth, None), [Verdict::Broken; 2]);
    let mut closed = ledger("finished", 9, &[(1, 9), (10, 12)]);
    closed.totals.closed = true;
    assert_eq!(verdicts(closed, None), [Verdict::Open; 2]);
    let mut closed = ledger("finished", 9, &[(1, 8), (10, 12)]);
    closed.totals.closed = true;
    assert_eq!(verdicts(closed, Some(known("reading", 12))), [Verdict::Broken; 2]);
}

#[test]
fn a_closed_file_is_broken_whatever_is_in_flight() {
    let mut closed = ledger("finished", 9, &[(1, 8)]);
    closed.totals.closed = true;
    assert_eq!(verdicts(closed, None), [Verdict::Broken; 2]);
    let mut twice = ledger("finished", 9, &[(1, 9)]);
    twice.twice.insert("events and events".to_owned(), [(5, 5)].into_iter().collect());
    assert_eq!(verdicts(twice, None), [Verdict::Broken; 2]);
}

#[test]
fn what_the_tailer_put_away_must_be_known() {
    assert!(Evidence::join(Vec::new(), vec![known("reading", 3)]).is_empty());
    let lost = Evidence::join(Vec::new(), vec![known("kept", 3)])[0].check(false);
    assert_eq!((lost.verdict, lost.totals.file.as_str()), (Verdict::Broken, "in/a.csv"));
    assert_eq!((lost.missing.to_string().as_str(), lost.in_database), ("1-3", false));
    // Rows of it, but no totals.
    assert_eq!(verdicts(ledger("open", 0, &[(1, 2)]), Some(known("kept", 3))), [Verdict::Broken; 2]);
    // Totals from before the last rows came.
    assert_eq!(verdicts(ledger("finished", 2, &[(1, 2)]), Some(known("kept", 3))), [Verdict::Broken; 2]);
}
