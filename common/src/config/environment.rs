//! Settings from the environment and from `.env`: `MILLRACE_SECTION__KEY`, and the names that are customary.

use std::ffi::OsString;
use std::path::Path;

use figment::value::Value;

use super::Problem;
use super::args::Setting;

/// Customary names and what they set. A later one beats an earlier one.
const CUSTOMARY: [(&str, &str); 10] = [
    ("DATABASE_URL", "database.url"),
    ("DATABASE_PASSWORD_FILE", "database.password_file"),
    ("NATS_URL", "nats.url"),
    ("NATS_PASSWORD_FILE", "nats.password_file"),
    ("LOG_LEVEL", "log.level"),
    ("RUST_LOG", "log.level"),
    ("MIN_EVENTS", "generate.min_events"),
    ("MAX_EVENTS", "generate.max_events"),
    ("SLEEP_INTERVAL", "generate.interval"),
    ("GENERATE", "generate.enabled"),
];

/// What the names of all others begin with.
const OWN: &str = "MILLRACE_";

/// Settings in rising order: `.env` (absent is fine) below the real environment.
pub(super) fn settings(
    dot_env: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<Setting>, Problem> {
    let mut from_file = Vec::new();
    if dot_env.is_file() {
        let lines = dotenvy::from_path_iter(dot_env).map_err(|error| Problem::dot_env(&error))?;
        for line in lines {
            from_file.push(line.map_err(|error| Problem::dot_env(&error))?);
        }
    }
    let environment: Vec<_> =
        environment.filter_map(|variable| text(variable).transpose()).collect::<Result<_, _>>()?;
    let mut settings = of(&from_file, ".env");
    settings.extend(of(&environment, "environment variable"));
    Ok(settings)
}

/// A variable of ours as text. Others may hold anything, and are left alone.
fn text((name, value): (OsString, OsString)) -> Result<Option<(String, String)>, Problem> {
    let shown = name.to_string_lossy().into_owned();
    if !shown.starts_with(OWN) && CUSTOMARY.iter().all(|(name, _)| *name != shown) {
        return Ok(None);
    }
    match (name.into_string(), value.into_string()) {
        (Ok(name), Ok(value)) => Ok(Some((name, value))),
        // Its value may be a secret.
        _ => Err(Problem::new(format!(
            "environment variable {shown}: it is not UTF-8 text; write it anew, or unset it"
        ))),
    }
}

/// Customary names first, so that `MILLRACE_…` beats them.
fn of(variables: &[(String, String)], place: &str) -> Vec<Setting> {
    let customary = CUSTOMARY.iter().filter_map(|&(name, key)| {
        let (_, value) = variables.iter().find(|(found, value)| found == name && !value.is_empty())?;
        Some(Setting::new(key, format!("{place} {name}"), customary_value(name, value)))
    });
    let own = variables.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix(OWN)?.to_lowercase().replace("__", ".");
        Some(Setting::new(&key, format!("{place} {name}"), own_value(&key, value)))
    });
    customary.chain(own).collect()
}

fn customary_value(name: &str, value: &str) -> Value {
    match name {
        "SLEEP_INTERVAL" if value.parse::<f64>().is_ok() => Value::from(format!("{value}s")),
        "MIN_EVENTS" | "MAX_EVENTS" | "GENERATE" => parse(value),
        _ => Value::from(value),
    }
}

/// A URL or a path is never taken apart; anything else may be a number, a boolean or a list.
fn own_value(key: &str, value: &str) -> Value {
    let is_text = ["database.", "nats."]
        .iter()
        .any(|section| key.strip_prefix(section).is_some_and(|name| matches!(name, "url" | "password_file")));
    if is_text { Value::from(value) } else { parse(value) }
}

fn parse(value: &str) -> Value {
    value.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}
