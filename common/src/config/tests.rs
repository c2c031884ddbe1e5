use std::path::Path;

use secrecy::ExposeSecret;
use url::Url;

use super::environment;
use super::*;

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let mut figment = Figment::new().merge(Toml::string(toml));
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    for setting in environment::settings(Path::new("/nonexistent/.env"), variables).unwrap() {
        figment = figment.merge(setting);
    }
    let config: Config = figment.extract().map_err(|error| Problem::of_figment(&error).to_string())?;
    match validate::first_problem(&config) {
        Some((key, what)) => Err(Problem::of_key(&figment, &key, &what).to_string()),
        None => Ok(config),
    }
}

#[test]
fn the_sample_configuration_is_valid_and_says_the_defaults() {
    let sample = load(include_str!("../../../millrace.toml"), &[]).unwrap();
    assert_eq!(serde_json::to_value(sample).unwrap(), serde_json::to_value(Config::default()).unwrap());
}

#[test]
fn the_documented_example_is_valid() {
    let example = include_str!("../../../docs/examples/ecom.toml");
    let config = load(example, &[]).unwrap();
    assert_eq!(config.source[0].types, Some(EventTypes::Any));
    assert!(example.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count() <= 10);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let line = load("[batch]\nrow = 3", &[]).unwrap_err();
    assert!(line.contains("batch.row is not a setting; did you mean rows?"), "{line}");
    let line = load("", &[("MILLRACE_BATCH__ROW", "3")]).unwrap_err();
    assert!(line.starts_with("environment variable MILLRACE_BATCH__ROW: batch.row is not"), "{line}");
}

#[test]
fn a_value_out_of_range_says_what_to_write() {
    let line = load("[batch]\nrows = 0", &[]).unwrap_err();
    assert!(line.ends_with("batch.rows = 0 is out of range; write a number from 1 to 100000"), "{line}");
}

#[test]
fn a_value_of_the_wrong_type_says_what_to_write() {
    let line = load("", &[("MILLRACE_BATCH__ROWS", "many")]).unwrap_err();
    assert!(
        line.contains("batch.rows = string \"many\" is of the wrong type; write a whole number"),
        "{line}"
    );
    let line = load("[tail]\non_close = \"move\"", &[]).unwrap_err();
    assert!(
        line.contains("tail.on_close = \"move\" is not known; write one of archive, keep, delete"),
        "{line}"
    );
}

#[test]
fn a_wrong_url_is_refused_without_showing_it() {
    let line = load("", &[("DATABASE_URL", "mysql://me:secret@host/db")]).unwrap_err();
    assert!(line.contains("database.url is not a PostgreSQL URL"), "{line}");
    assert!(!line.contains("secret"), "{line}");
}

#[test]
fn customary_names_are_known_and_own_names_beat_them() {
    let variables =
        [("MIN_EVENTS", "7"), ("SLEEP_INTERVAL", "3"), ("LOG_LEVEL", "warn"), ("RUST_LOG", "debug")];
    let config = load("", &variables).unwrap();
    assert_eq!(config.generate.min_events, 7);
    assert_eq!(config.generate.interval.as_secs(), 3);
    assert_eq!(config.log.level, "debug");
    let config = load("", &[("LOG_LEVEL", "warn"), ("MILLRACE_LOG__LEVEL", "trace")]).unwrap();
    assert_eq!(config.log.level, "trace");
}

#[test]
fn secrets_are_hidden_when_the_configuration_is_shown() {
    let figment = Figment::new().merge(Toml::string("[nats]\nurl = \"nats://me:secret@host:4222\""));
    let loaded = Loaded { config: figment.extract().unwrap(), figment };
    let shown = loaded.show();
    assert!(shown.contains("nats.url = \"***\""), "{shown}");
    assert!(!shown.contains("secret") && !format!("{:?}", loaded.config).contains("secret"));
}

#[test]
fn a_filter_that_would_silence_everything_is_refused() {
    for level in ["loud", "info,loud", "producer", "", "warn,,info", "info=loud"] {
        let variables = [("MILLRACE_LOG__LEVEL", level)];
        let line = load("", &variables).unwrap_err();
        assert!(
            line.contains("log.level") && line.contains("write error, warn, info, debug or trace"),
            "{line}"
        );
    }
    for level in ["info", "WARN", "off", "warn,producer=debug", "async_nats=debug", "[span{field=1}]=trace"] {
        load("", &[("RUST_LOG", level)]).unwrap();
    }
}

#[test]
fn variables_that_are_not_text_are_named_or_left_alone() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let bytes = |text: &str| OsString::from_vec([text.as_bytes(), b"\xff"].concat());
    let settings = |name: OsString, value: OsString| {
        environment::settings(Path::new("/nonexistent/.env"), [(name, value)].into_iter())
    };
    assert_eq!(settings("OTHER".into(), bytes("x")).unwrap().len(), 0);
    assert_eq!(settings(bytes("OTHER"), "x".into()).unwrap().len(), 0);
    for (name, value) in [
        ("DATABASE_URL".into(), bytes("postgres://me:hunter2@host/db")),
        ("MILLRACE_LOG__LEVEL".into(), bytes("info")),
        (bytes("MILLRACE_LOG__LEVEL"), "info".into()),
    ] {
        let line = settings(name, value).unwrap_err().to_string();
        assert!(line.starts_with("environment variable ") && line.contains("not UTF-8"), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_line_of_the_file_is_not_shown() {
    let line = load("[nats]\nurl = \"nats://me:hunter2@host\u{1b}\"", &[]).unwrap_err();
    assert!(line.contains("line 2, column") && !line.contains("hunter2"), "{line}");
}

#[test]
fn a_directory_without_a_name_is_refused() {
    for (name, key) in [("MILLRACE_DATA_DIR", "data_dir"), ("MILLRACE_TAIL__LANDING_DIR", "tail.landing_dir")]
    {
        let line = load("", &[(name, "")]).unwrap_err();
        assert!(line.ends_with(&format!("{key} is empty; name a directory, or leave it out")), "{line}");
    }
}

/// What `database.url` and `nats.url` become with a password file that holds `bytes`.
fn with_password_file(database: &str, nats: &str, bytes: &[u8]) -> Result<[String; 2], String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, bytes).unwrap();
    let file = file.path().to_str().unwrap();
    let mut variables = vec![("DATABASE_URL", database), ("NATS_URL", nats)];
    variables.extend([("DATABASE_PASSWORD_FILE", file), ("MILLRACE_NATS__PASSWORD_FILE", file)]);
    let mut config = load("", &variables)?;
    password_file::read(&mut config)
        .map_err(|(key, what)| format!("{key} {}", what.replace(file, "FILE")))?;
    Ok([config.database.url, config.nats.url].map(|url| url.unwrap().expose_secret().to_owned()))
}

#[test]
fn a_password_from_a_file_becomes_part_of_the_url() {
    let (database, nats) = ("postgres://me@host/db?sslmode=require", "nats://me@a:1, me@b:2");
    for (content, escaped) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        (" two words \n", "%20two%20words%20"),
        ("a@b/c:d?e#f%25,g&h+i\u{fc}\n", "a%40b%2Fc%3Ad%3Fe%23f%2525%2Cg%26h%2Bi%C3%BC"),
    ] {
        let urls = with_password_file(database, nats, content.as_bytes()).unwrap();
        assert_eq!(urls[0], format!("postgres://me:{escaped}@host/db?sslmode=require"));
        assert_eq!(urls[1], format!("nats://me:{escaped}@a:1,nats://me:{escaped}@b:2"));
        let read = Url::parse(&urls[0]).unwrap();
        assert_eq!(
            secrets::percent_decoded(read.password().unwrap()),
            content.trim_end_matches(['\n', '\r'])
        );
    }
}

#[test]
fn a_password_file_that_cannot_be_used_is_named_and_not_shown() {
    let (database, nats) = ("postgres://me@host/db", "nats://me@host");
    let with_password = "postgres://me:hunter1@host/db";
    for (database, nats, bytes, expected) in [
        (database, nats, &b""[..], "database.password_file = \"FILE\": it is empty"),
        (database, nats, b"\n", "database.password_file = \"FILE\": it is empty"),
        (database, nats, b"hunter2\nhunter3\n", "more than one line"),
        (database, nats, b"hunter2\0", "control characters"),
        (database, nats, b"hunter2\xff", "it is not UTF-8 text"),
        ("", nats, b"hunter2", "database.url is not set; set both"),
        (with_password, nats, b"hunter2", "the URL holds a password as well; leave one of them out"),
        ("postgres://me@host/db?password=hunter1", nats, b"hunter2", "the URL holds a password as well"),
        ("postgres://host/db", nats, b"hunter2", "the URL names no user"),
        (database, "nats://host", b"hunter2", "nats.password_file = \"FILE\": the URL names no user"),
        (
            database,
            "nats://me@a,nats://me:hunter1@b",
            b"hunter2",
            "nats.password_file = \"FILE\": the URL holds",
        ),
    ] {
        let line = with_password_file(database, nats, bytes).unwrap_err();
        assert!(line.contains(expected), "{line}");
        assert!(!line.contains("hunter"), "{line}");
    }
    let (url, missing) = (database.into(), Path::new("/nonexistent/password"));
    assert!(url_with_password(&url, missing).unwrap_err().starts_with("it cannot be read: No such file"));
}
