//! Kills at random moments, and the proof that nothing was lost.

use std::fs::File;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bed::{Bed, has_extension, names, until};

#[tokio::test]
async fn strikes_of_every_kind_lose_nothing_and_double_nothing() {
    let bed = Bed::new();
    // With this seed each kind of strike on processes comes before the sixth kill. How many rows are written, what is
    // redelivered and how long it takes depends on the machine, and is not asserted.
    let ended =
        bed.run(&["chaos", "--kills", "6", "--seed", "200", "--events-per-second", "500", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["ok"], &report["interrupted"]), (&json!(true), &json!(false)));
    for nothing in ["lost", "twice", "wrong", "open_files"] {
        assert_eq!(report[nothing], 0, "{nothing}: {report}");
    }
    assert_eq!((&report["reconciled"], &report["verified"]), (&json!(true), &json!(true)));
    assert_eq!(report["complaints"], json!([]));

    // What it says fits together.
    let number = |of: &Value, what: &str| of[what].as_u64().unwrap_or_else(|| panic!("{what}: {of}"));
    let processes = report["processes"].as_array().unwrap();
    let sum = |what: &str| processes.iter().map(|process| number(process, what)).sum::<u64>();
    assert_eq!((number(&report, "kills"), sum("kills"), sum("ended_by_itself")), (6, 6, 0), "{report}");
    assert_eq!(number(&report, "stops"), sum("stops"), "{report}");
    let strikes = &report["strikes"];
    assert_eq!((number(strikes, "kill"), number(strikes, "stop")), (sum("kills"), sum("stops")), "{report}");
    let kinds = strikes.as_object().unwrap();
    assert!(kinds.len() == 13 && kinds.keys().all(|kind| number(strikes, kind) > 0), "{report}");
    let total = &report["total"];
    let tables = ["events", "duplicates", "corrupt_records"].map(|table| number(total, table));
    assert_eq!(number(total, "rows_read"), tables.iter().sum::<u64>());
    assert!(number(&report, "rows") > 0 && tables[0] > 0, "{report}");
    let recovery = &report["recovery"];
    let ms = |what: &str| recovery["ms"][what].as_f64().unwrap();
    assert!(ms("p50") <= ms("p99"), "{report}");
    // Each kill was logged, and nothing is left of a good run.
    assert_eq!(ended.err.matches(" kill ").count(), 6, "{}", ended.err);
    assert!(names(&bed.data()).is_empty());
}

#[tokio::test]
async fn a_signal_ends_the_faults_and_there_is_a_verdict() {
    let bed = Bed::new();
    // Few rows, so that a slow machine is not behind with thousands when the signal comes.
    let mut chaos = bed.start(&["chaos", "--seed", "1", "--for", "1h", "--events-per-second", "100"]);
    chaos.until_logged(" kill ").await;
    chaos.signal(Signal::INT);
    let ended = chaos.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.contains("0 lost, 0 twice, 0 wrong, 0 files open, reconciled, verify OK: good"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("seed 1") && ended.out.contains("interrupted"), "{}", ended.out);
}

#[tokio::test]
async fn a_killed_chaos_leaves_no_process() {
    let bed = Bed::new();
    // This seed stops PostgreSQL with all its processes first, for 1.5 s.
    let mut chaos = bed.start(&["chaos", "--seed", "4191"]);
    chaos.until_logged("stop PostgreSQL for 1493 ms").await;
    let run = bed.data().join("chaos");
    let run = run.join(&names(&run)[0]);
    let is_any_held = |dir: &Path| names(dir).iter().any(|name| is_held(dir, name));
    assert!(is_any_held(&run) && is_any_held(&run.join("sandbox")));
    chaos.signal(Signal::KILL);
    assert_eq!(chaos.end().await.code, None);
    for dir in [&run, &run.join("sandbox")] {
        until("nobody holds a log", async || !is_any_held(dir)).await;
    }
}

/// Every process of a run holds a lock on its log as long as it lives.
fn is_held(dir: &Path, name: &str) -> bool {
    has_extension(name, "log") && File::open(dir.join(name)).unwrap().try_lock().is_err()
}

#[tokio::test]
async fn services_of_others_are_refused() {
    for (variable, url) in
        [("DATABASE_URL", "postgres://me@127.0.0.1:1/db"), ("NATS_URL", "nats://127.0.0.1:1")]
    {
        let bed = Bed::new().with(variable, url);
        let ended = bed.run(&["chaos", "--kills", "1"]).await;
        assert_eq!((ended.code, ended.err.lines().count()), (Some(2), 1), "{ended:?}");
        let line = format!(
            "error: chaos kills services of its own only, but {variable} names another one; unset it"
        );
        assert!(ended.err.starts_with(&line), "{}", ended.err);
        assert!(!bed.data().exists(), "nothing has begun");
    }
    let wrong = [
        &["--kills", "0"][..],
        &["--consumers", "0"],
        &["--for", "soon"],
        &["--seed", "x"],
        &["--only", "flood"],
        &["--only", "stop", "--kills", "3"],
    ];
    for wrong in wrong {
        let ended = Bed::new().run(&[&["chaos"], wrong].concat()).await;
        assert_eq!(ended.code, Some(2), "{wrong:?}: {ended:?}");
    }
}
