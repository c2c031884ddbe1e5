//! Wrong use, wrong configuration, and services that refuse us.

use secrecy::ExposeSecret as _;

use crate::bed::{Bed, Ended};

/// Exit 2, one line on standard error, and nothing was started.
fn assert_refused(bed: &Bed, ended: &Ended, line: &str) {
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.starts_with(&format!("error: {line}")), "{}", ended.err);
    assert!(!bed.data().exists(), "nothing has begun");
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_its_place_before_anything_starts() {
    for (file, line) in [
        (
            "[batch]\nrows = 0",
            "millrace.toml: batch.rows = 0 is out of range; write a number from 1 to 100000",
        ),
        ("[batch]\nrow = 1", "millrace.toml: batch.row is not a setting; did you mean rows?"),
        ("[tail]\npoll = \"soon\"", "millrace.toml: tail.poll"),
        ("[batch\n", "millrace.toml: "),
        (
            "[[source]]\ncolumns = { prize = \"p\" }",
            "millrace.toml: source.0.columns names \"prize\", which is no column",
        ),
    ] {
        let bed = Bed::new();
        bed.write("millrace.toml", file);
        assert_refused(&bed, &bed.run(&["up", "--count", "1"]).await, line);
    }
}

#[tokio::test]
async fn a_wrong_variable_or_flag_is_named() {
    let bed = Bed::new().with("MILLRACE_TAIL__ON_CLOSE", "burn");
    let line =
        "environment variable MILLRACE_TAIL__ON_CLOSE: tail.on_close = \"burn\" is not known; write one of";
    assert_refused(&bed, &bed.run(&["up", "--count", "1"]).await, line);
    let bed = Bed::new().with("DATABASE_URL", "mysql://me:hunter2@host/db");
    let ended = bed.run(&["consumer", "run"]).await;
    assert_refused(&bed, &ended, "environment variable DATABASE_URL: database.url is not a PostgreSQL URL");
    assert!(!ended.err.contains("hunter2"), "{}", ended.err);
    let bed = Bed::new();
    assert_refused(
        &bed,
        &bed.run(&["up", "--dirty-rate", "2"]).await,
        "flag --dirty-rate: generate.dirty_rate = 2 ",
    );
    bed.write(".env", "MILLRACE_BATCH__ROWS=0\n");
    assert_refused(
        &bed,
        &bed.run(&["up", "--count", "1"]).await,
        ".env MILLRACE_BATCH__ROWS: batch.rows = 0 ",
    );
    // clap says what it says in several lines.
    let ended = bed.run(&["up", "--no-such-flag"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[tokio::test]
async fn files_and_directories_that_are_not_there_are_named() {
    let bed = Bed::new();
    let ended = bed.run(&["up", "--once", "--input", "nowhere"]).await;
    assert_refused(&bed, &ended, "--input nowhere is no directory");
    let ended = bed.run(&["up", "--config", "nowhere.toml"]).await;
    assert_refused(&bed, &ended, "nowhere.toml: there is no such file");
}

#[tokio::test]
async fn fresh_is_for_private_services_only() {
    for (variable, url) in
        [("DATABASE_URL", "postgres://me@127.0.0.1:1/db"), ("NATS_URL", "nats://127.0.0.1:1")]
    {
        let bed = Bed::new().with(variable, url);
        let line = format!("--fresh empties private services only, but {variable} names another one");
        assert_refused(&bed, &bed.run(&["up", "--fresh", "--count", "1"]).await, &line);
    }
}

#[tokio::test]
async fn the_configuration_is_shown_with_its_places_and_without_secrets() {
    let bed = Bed::new().with("DATABASE_URL", "postgres://me:hunter2@host/db").with("LOG_LEVEL", "debug");
    bed.write("mine.toml", "[batch]\nrows = 77\n");
    let ended = bed.run(&["up", "--config", "mine.toml", "--seed", "5", "--print-config"]).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let has = |line: &str| ended.out.lines().any(|found| found == line);
    assert!(has("generate.seed = 5  # flag --seed"), "{}", ended.out);
    assert!(has("log.level = \"debug\"  # environment variable LOG_LEVEL"), "{}", ended.out);
    assert!(has("publish.window = 1000  # default"), "{}", ended.out);
    assert!(ended.out.contains("batch.rows = 77  # ") && ended.out.contains("mine.toml"), "{}", ended.out);
    assert!(!ended.out.contains("hunter2") && !bed.data().exists());
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let with_password = |url: &str| {
        let mut url = url::Url::parse(url).unwrap();
        url.set_password(Some("hunter2")).unwrap();
        url.to_string()
    };
    let wrong = with_password(database.expose_secret());
    let bed = Bed::with_services(&nats.url(), &wrong.as_str().into());
    for command in [
        &["consumer", "run"][..],
        &["consumer", "migrate"],
        &["up", "--count", "10"],
        &["psql", "-c", "select 1"],
    ] {
        let ended = bed.run(command).await;
        assert_ne!(ended.code, Some(0), "{command:?}: {ended:?}");
        assert!(ended.err.contains("password authentication failed"), "{command:?}: {}", ended.err);
        assert!(!ended.err.contains("hunter2") && !ended.out.contains("hunter2"), "{}", ended.err);
    }
    let bed = Bed::with_services(&with_password(nats.url().expose_secret()).into(), &database);
    let ended = bed.run(&["producer", "tail"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("refused user or password; check nats.url"), "{}", ended.err);
    assert!(!ended.err.contains("hunter2"), "{}", ended.err);
}

#[tokio::test]
async fn a_database_without_the_schema_is_not_written_to() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    let ended = bed.run(&["consumer", "run"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("consumer migrate"), "the error names the command that helps: {}", ended.err);
}
