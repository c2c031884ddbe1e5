use std::path::Path;

use super::environment;
use super::*;

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let mut figment = Figment::new().merge(Toml::string(toml));
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
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
