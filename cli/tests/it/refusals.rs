//! Wrong use, wrong configuration, and services that refuse us.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::{Signal, kill_process};
use secrecy::{ExposeSecret as _, SecretString};

use crate::bed::{Bed, Ended, names, rows, until};

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
async fn rule_only_own_files_are_deleted_by_fresh() {
    let bed = Bed::new().with("MILLRACE_TAIL__CHECKPOINT_DIR", "pictures");
    bed.write("in/a.csv", rows(1..=5));
    bed.write("pictures/holiday.jpg", "mine");
    bed.write("pictures/album/2024.json", "mine");
    bed.write("my data/sandbox/notes.txt", "mine");
    bed.write("my data/landing/later.csv.part", "mine");
    let up = ["up", "--once", "--input", "in", "--json"];
    assert_eq!(bed.run(&up).await.json()["rows_written"], 5);
    let fresh = bed.run(&[&up[..], &["--fresh"]].concat()).await;
    assert_eq!(fresh.json()["rows_written"], 5, "it begins from nothing");
    for name in [
        "pictures/holiday.jpg",
        "pictures/album/2024.json",
        "my data/sandbox/notes.txt",
        "my data/landing/later.csv.part",
    ] {
        assert_eq!(fs::read_to_string(bed.path(name)).unwrap(), "mine", "{name}");
    }
    // Nothing is deleted while a tailer, of whatever process, is at work there.
    let positions = names(&bed.path("pictures"));
    let tailer = Bed::new();
    tailer.write("in/x.csv", "");
    let checkpoints = bed.path("pictures");
    let nats = sandbox::testing::nats().await;
    let url = nats.url();
    let other = tailer
        .with("NATS_URL", url.expose_secret())
        .with("MILLRACE_TAIL__CHECKPOINT_DIR", checkpoints.to_str().unwrap());
    let _running = other.start(&["producer", "tail"]);
    until("a tailer is there", async || producer::is_tailed(&checkpoints).await.unwrap()).await;
    let refused = bed.run(&[&up[..], &["--fresh"]].concat()).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("another producer tails pictures"), "{}", refused.err);
    assert!(bed.data().join("sandbox/password").exists() && names(&bed.path("pictures")) == positions);
}

#[tokio::test]
async fn rule_directories_are_apart_before_anything_starts() {
    for (toml, input, line) in [
        (
            "[tail]\nlanding_dir = \"x\"\narchive_dir = \"x\"",
            None,
            "tail.archive_dir makes the archive directory, x, the same as",
        ),
        (
            "[tail]\narchive_dir = \"my data/landing/done\"",
            None,
            "tail.archive_dir makes the archive directory, my data/landing/done, lie in",
        ),
        (
            "",
            Some("to_archive"),
            "the archive directory, my data/archive, the same as the landing directory, to_archive",
        ),
        ("", Some("my data/sandbox"), "the private services' directory"),
    ] {
        let bed = Bed::new();
        bed.write("millrace.toml", toml);
        std::os::unix::fs::symlink("my data/archive", bed.path("to_archive")).unwrap();
        let mut command = vec!["up", "--once"];
        if let Some(input) = input {
            command.extend(["--input", input]);
        }
        let ended = bed.run(&command).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains(line) && ended.err.lines().count() == 1, "{}", ended.err);
        assert!(!bed.data().exists(), "nothing has begun");
    }
}

#[tokio::test]
async fn variables_that_are_no_text_and_levels_that_are_none_are_named() {
    let bed = Bed::new().with("LOG_LEVEL", "loud");
    let line = "environment variable LOG_LEVEL: log.level = \"loud\": \"loud\" is not a level; write error, warn, info";
    assert_refused(&bed, &bed.run(&["up", "--count", "1"]).await, line);
    let bytes = OsStr::from_bytes(b"postgres://me:hunter2\xff@host/db");
    let bed = Bed::new();
    for command in
        [&["up", "--count", "1"][..], &["status"], &["producer", "check", "x.csv"], &["consumer", "run"]]
    {
        let ended = bed.run_with_os("DATABASE_URL", bytes, command).await;
        assert_refused(&bed, &ended, "environment variable DATABASE_URL: it is not UTF-8 text");
        assert!(!ended.err.contains("hunter2"), "{}", ended.err);
        let ended = bed.run_with_os("SOMEBODY_ELSES", bytes, &[command, &["--print-config"]].concat()).await;
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{command:?}");
    }
}

#[tokio::test]
async fn a_service_that_fails_ends_up_with_its_name_and_without_a_panic() {
    for service in [0, 1] {
        let bed = Bed::new();
        bed.write("in/a.csv", rows(1..=5));
        let up = bed.start(&["up", "--input", "in"]);
        bed.until_sql("select count(*) from events", "5").await;
        let (pid, _) = bed.services()[service];
        kill_process(pid, Signal::KILL).unwrap();
        let ended = up.end().await;
        let name = ["nats-server", "PostgreSQL"][service];
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(!ended.err.contains("panicked") && !ended.err.contains("JoinError"), "{}", ended.err);
        assert!(ended.err.lines().any(|line| line.starts_with(&format!("error: {name}"))), "{}", ended.err);
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
async fn passwords_in_files_open_both_services_and_no_other_ones_do() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let apart = |url: &SecretString| {
        let mut url = url::Url::parse(url.expose_secret()).unwrap();
        let password = url.password().unwrap().to_owned();
        url.set_password(None).unwrap();
        (SecretString::from(url.to_string()), password + "\n")
    };
    let ((nats, nats_password), (database, database_password)) = (apart(&nats.url()), apart(&database));
    let bed = Bed::with_services(&nats, &database)
        .with("NATS_PASSWORD_FILE", "nats password")
        .with("DATABASE_PASSWORD_FILE", "database password");
    let missing = "environment variable DATABASE_PASSWORD_FILE: database.password_file = \"database password\": it \
                   cannot be read: No such file or directory";
    assert_refused(&bed, &bed.run(&["up", "--count", "10"]).await, missing);
    bed.write("nats password", &nats_password);
    bed.write("database password", "hunter2");
    let ended = bed.run(&["up", "--count", "10"]).await;
    assert!(ended.err.contains("password authentication failed"), "{}", ended.err);
    assert!(!ended.err.contains("hunter2") && !ended.out.contains("hunter2"), "{}", ended.err);
    bed.write("database password", &database_password);
    let ended = bed.run(&["up", "--count", "10"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(bed.sql("select count(*) from events").await, "10");
}

#[tokio::test]
async fn a_database_without_the_schema_is_not_written_to() {
    let (nats, database) = tokio::join!(sandbox::testing::nats(), sandbox::testing::postgres_database());
    let bed = Bed::with_services(&nats.url(), &database);
    let ended = bed.run(&["consumer", "run"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("consumer migrate"), "the error names the command that helps: {}", ended.err);
}
