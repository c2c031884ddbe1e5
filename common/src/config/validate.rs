//! What types cannot check of a value: ranges, and values that must fit each other.

use std::ops::RangeInclusive;

use secrecy::ExposeSecret;
use url::Url;

use super::{Config, EventTypes, Events, Source, log_level};
use crate::event::{COLUMNS, TYPES};

/// The first wrong key, with the rest of its line: what is wrong and what to write instead.
pub(super) fn first_problem(config: &Config) -> Option<(String, String)> {
    let Config { batch, generate, publish, tail, stream, consumer, events, .. } = config;
    let numbers = [
        ("batch.rows", batch.rows as u64, 1..=100_000),
        ("batch.bytes", batch.bytes as u64, 65_536..=1 << 30),
        ("publish.window", publish.window as u64, 1..=60_000),
        ("tail.max_record_bytes", tail.max_record_bytes as u64, 1_024..=16 << 20),
        ("consumer.writers", consumer.writers as u64, 1..=32),
        ("consumer.max_ack_pending", clamp(consumer.max_ack_pending), 1_000..=10_000_000),
        ("stream.replicas", stream.replicas as u64, 1..=5),
        ("stream.max_bytes", clamp(stream.max_bytes), 16 << 20..=1 << 50),
        ("generate.max_events", generate.max_events, generate.min_events.max(1)..=10_000_000),
        ("generate.visitors", generate.visitors, 1..=10_000_000),
        ("generate.products", generate.products, 1..=1_000_000),
        ("generate.batch_size", generate.batch_size.unwrap_or(1), 1..=10_000_000),
        ("generate.files", generate.files.unwrap_or(1), 1..=u64::MAX),
    ];
    let durations = [
        ("tail.poll", Some(tail.poll), 10),
        ("tail.checkpoint_every", Some(tail.checkpoint_every), 1),
        ("publish.ack_timeout", Some(publish.ack_timeout), 100),
        ("consumer.ack_wait", Some(consumer.ack_wait), 1_000),
        ("nats.connect_timeout", Some(config.nats.connect_timeout), 100),
        ("database.answer_timeout", Some(config.database.answer_timeout), 100),
        ("health.stall_after", config.health.stall_after, 100),
    ];
    let shares = [
        ("stream.high_water", stream.high_water, 0.1..=1.0),
        ("generate.dirty_rate", generate.dirty_rate, 0.0..=1.0),
        ("generate.duplicate_rate", generate.duplicate_rate, 0.0..=1.0),
        ("generate.events_per_second", generate.events_per_second.unwrap_or(1.0), 0.001..=10_000_000.0),
        ("events.price_medium_below", events.price_medium_below, events.price_low_below..=f64::MAX),
    ];
    let number = numbers.into_iter().find_map(|(key, value, range)| out_of(key, value, &range));
    let duration = durations.into_iter().find_map(|(key, value, least)| {
        let short = value.is_some_and(|value| value.as_millis() < least);
        short.then(|| (key.to_owned(), format!("is too short; write {least}ms or more")))
    });
    let share = shares.into_iter().find_map(|(key, value, range)| out_of(key, value, &range));
    let required = events.required.iter().find_map(|column| unknown_column("events.required", column));
    let source =
        config.source.iter().enumerate().find_map(|(index, source)| of_source(index, source, events));
    let empty = no_directory(config);
    number
        .or(empty)
        .or(duration)
        .or(share)
        .or(required)
        .or(source)
        .or_else(|| urls(config))
        .or_else(|| filter(config))
}

/// An empty path is a variable without a value, and would be the working directory here and nothing there.
fn no_directory(config: &Config) -> Option<(String, String)> {
    let directories = [
        ("data_dir", Some(&config.data_dir)),
        ("tail.landing_dir", config.tail.landing_dir.as_ref()),
        ("tail.archive_dir", config.tail.archive_dir.as_ref()),
        ("tail.checkpoint_dir", config.tail.checkpoint_dir.as_ref()),
        ("log.dir", config.log.dir.as_ref()),
    ];
    let empty = directories.into_iter().find(|(_, dir)| dir.is_some_and(|dir| dir.as_os_str().is_empty()));
    empty.map(|(key, _)| (key.to_owned(), "is empty; name a directory, or leave it out".to_owned()))
}

fn clamp(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn out_of<T: PartialOrd + std::fmt::Display + Copy>(
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Option<(String, String)> {
    (!range.contains(&value)).then(|| {
        let (from, to) = (range.start(), range.end());
        (key.to_owned(), format!("= {value} is out of range; write a number from {from} to {to}"))
    })
}

fn unknown_column(key: &str, column: &str) -> Option<(String, String)> {
    (!COLUMNS.contains(&column)).then(|| {
        (
            key.to_owned(),
            format!(
                "names \"{column}\", which is no column of an event; write one of {}",
                COLUMNS.join(", ")
            ),
        )
    })
}

fn of_source(index: usize, source: &Source, events: &Events) -> Option<(String, String)> {
    let key = |name: &str| format!("source.{index}.{name}");
    let columns = source.columns.keys().find_map(|column| unknown_column(&key("columns"), column));
    let ids = source.id_from.iter().find_map(|column| unknown_column(&key("id_from"), column));
    let ascii =
        [("delimiter", source.delimiter), ("comment", source.comment)].into_iter().find_map(|(name, c)| {
            let wrong = c.is_some_and(|c| !c.is_ascii() || matches!(c, '"' | '\n' | '\r'));
            wrong.then(|| (key(name), "must be one ASCII character and no quote or line end".to_owned()))
        });
    let decimal = (!matches!(source.decimal, '.' | ','))
        .then(|| (key("decimal"), format!("= \"{}\" is not known; write \".\" or \",\"", source.decimal)));
    let files = glob::Pattern::new(&source.files)
        .err()
        .map(|error| (key("files"), format!("= \"{}\" is not a pattern: {error}", source.files)));
    let no_id = (!source.event_id && source.columns.contains_key("event_id")).then(|| {
        (
            key("event_id"),
            "= false, but columns names a column for event_id; leave one of the two out".to_owned(),
        )
    });
    let types = source.types.as_ref().unwrap_or(&events.types);
    let alias = source.type_aliases.iter().find_map(|(word, meant)| {
        let wrong = unknown_type(types, meant)?;
        Some((key("type_aliases"), format!("takes \"{word}\" for \"{meant}\", {wrong}")))
    });
    columns.or(ids).or(no_id).or(alias).or(ascii).or(decimal).or(files)
}

/// Why `meant` is no event type, and which there are.
fn unknown_type(types: &EventTypes, meant: &str) -> Option<String> {
    let EventTypes::Also(also) = types else { return None };
    let known: Vec<&str> = TYPES.into_iter().chain(also.iter().map(String::as_str)).collect();
    let list = known.join(", ");
    (!known.contains(&meant))
        .then(|| format!("which is no event type; write one of {list}, or add it to types"))
}

/// The value is never shown: it may hold a password.
fn urls(config: &Config) -> Option<(String, String)> {
    let database = config.database.url.as_ref().filter(|url| {
        !Url::parse(url.expose_secret()).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"))
    });
    let nats = config.nats.url.as_ref().filter(|urls| {
        !urls.expose_secret().split(',').all(|url| url.trim().parse::<async_nats::ServerAddr>().is_ok())
    });
    let database = database.map(|_| {
        ("database.url", "is not a PostgreSQL URL; write postgres://user:password@host:5432/database")
    });
    let nats = nats.map(|_| ("nats.url", "is not a NATS URL; write nats://user:password@host:4222"));
    database.or(nats).map(|(key, what)| (key.to_owned(), what.to_owned()))
}

fn filter(config: &Config) -> Option<(String, String)> {
    let level = &config.log.level;
    log_level::wrong_part(level).map(|wrong| {
        let what = format!(
            "= \"{level}\": \"{wrong}\" is not a level; write error, warn, info, debug or trace, or a filter such as \
             warn,producer=debug"
        );
        ("log.level".to_owned(), what)
    })
}
