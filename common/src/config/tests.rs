use std::path::Path;

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
