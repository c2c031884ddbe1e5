//! Which field of a file fills which column of the event. It is resolved once for each file from its header, then pinned.

use std::collections::BTreeMap;
use std::path::Path;

use chrono_tz::Tz;
use common::config::{Config, Source, UnknownColumns};
use common::event::{COLUMNS, ORIGIN_COLUMN};
use common::printable::{SHORT, shortened};
use serde::{Deserialize, Serialize};

use crate::map::EventTypeRule;
use crate::map::column_names::with_names;
use crate::map::event_id::IdRule;
use crate::map::time::TimeForm;

/// Names under which other systems keep the event's columns.
const ALIASES: [(&str, &[&str]); 15] = [
    ("event_id", &["event_uuid", "uuid"]),
    ("event_type", &["event", "event_name", "action", "type"]),
    ("event_timestamp", &["timestamp", "event_time", "event_date", "time", "datetime", "ts", "occurred_at"]),
    ("customer_id", &["user_id", "userid", "visitor_id", "client_id"]),
    ("customer_name", &["user_name", "username"]),
    ("customer_email", &["user_email", "email"]),
    ("customer_address", &["user_address", "address"]),
    ("session_id", &["user_session", "session", "sessionid"]),
    ("user_agent", &["useragent"]),
    ("ip_address", &["ip", "client_ip"]),
    ("product_id", &["item_id", "productid"]),
    ("product_name", &["item_name", "product"]),
    ("category", &["product_category", "category_code"]),
    ("price", &["product_price", "unit_price"]),
    ("device_type", &["device"]),
];

/// Columns without which no file can be mapped.
const REQUIRED: [&str; 2] = ["event_type", "event_timestamp"];

/// The resolved mapping of one file. It is stored in the file's checkpoint, so that a row that is read again gets the same
/// id, also if the configuration has changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mapping {
    /// The `[[source]]` that it comes from.
    pub(crate) source: String,
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Begins lines that are no rows.
    pub(crate) comment: Option<u8>,
    pub(crate) decimal: char,
    pub(crate) header: Vec<String>,
    /// The event's column and the number of the field that fills it.
    pub(crate) columns: BTreeMap<String, usize>,
    pub(crate) attributes: Vec<usize>,
    /// Columns that a row must fill.
    pub(crate) required: Vec<String>,
    /// Fields that identify a row of a file without ids, in header order; none means all.
    pub(crate) id_fields: Vec<usize>,
    /// How ids are made.
    #[serde(default)]
    pub(crate) id_rule: IdRule,
    pub(crate) types: EventTypeRule,
    /// The zone of times without one.
    pub(crate) time_zone: Tz,
    /// How times are written, once the first one has settled it.
    pub(crate) time_form: Option<TimeForm>,
    /// Bounds of Low and Medium.
    pub(crate) price_below: (f64, f64),
    /// Whether the first field is the origin of the rejected row that a row replaces.
    #[serde(default)]
    pub(crate) is_edited: bool,
}

/// A header that cannot be mapped. The sentence has the header and the columns that are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmappable(pub String);

/// The first `[[source]]` whose pattern fits the file's name; the built-in one otherwise.
pub(crate) fn source_of(config: &Config, path: &Path) -> Source {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fits =
        |source: &&Source| glob::Pattern::new(&source.files).is_ok_and(|pattern| pattern.matches(&name));
    config.source.iter().find(fits).cloned().unwrap_or_default()
}

pub(crate) fn delimiter_of(source: &Source, path: &Path) -> u8 {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let usual = if name.contains(".tsv") { '\t' } else { ',' };
    u8::try_from(source.delimiter.unwrap_or(usual)).unwrap_or(b',')
}

impl Mapping {
    /// Matches a file's header to the event by configured name, by name and by alias.
    pub(crate) fn resolve(
        config: &Config,
        source: &Source,
        delimiter: u8,
        mut header: Vec<String>,
    ) -> Result<Self, Unmappable> {
        if header.first().is_some_and(|name| name == ORIGIN_COLUMN) {
            header.remove(0);
            return Self::resolve(config, source, delimiter, header).map(Self::behind_origin);
        }
        let header = with_names(header);
        let mut columns = BTreeMap::new();
        for (column, name) in &source.columns {
            let field = header.iter().position(|found| found == name).ok_or_else(|| {
                Unmappable(format!(
                    "[[source]] {} takes {column} from a column \"{name}\", but the header is: {}",
                    source.name,
                    shown(&header)
                ))
            })?;
            columns.insert(column.clone(), field);
        }
        let plain: Vec<String> = header.iter().map(|name| plain(name)).collect();
        for column in COLUMNS {
            let taken: Vec<usize> = columns.values().copied().collect();
            let free = |name: &str| {
                plain.iter().enumerate().find(|(field, found)| *found == name && !taken.contains(field))
            };
            if columns.contains_key(column) || column == "event_id" && !source.event_id {
                continue;
            }
            let found = free(column).or_else(|| aliases(column).iter().find_map(|alias| free(alias)));
            if let Some((field, _)) = found {
                columns.insert(column.to_owned(), field);
            }
        }
        let required: Vec<String> =
            REQUIRED.into_iter().map(str::to_owned).chain(config.events.required.iter().cloned()).collect();
        if let Some(missing) = required.iter().find(|column| !columns.contains_key(*column)) {
            return Err(no_column(&header, missing));
        }
        let unknown: Vec<usize> =
            (0..header.len()).filter(|field| !columns.values().any(|taken| taken == field)).collect();
        let unknown_columns = source.unknown_columns.unwrap_or(config.events.unknown_columns);
        if let (UnknownColumns::Park, Some(&field)) = (unknown_columns, unknown.first()) {
            return Err(Unmappable(format!(
                "column \"{}\" maps to nothing and unknown_columns = \"park\"; map it in a [[source]], or write \
                 unknown_columns = \"keep\" or \"ignore\"",
                shortened(&header[field], SHORT)
            )));
        }
        let id_fields = id_fields(source, &columns, &header)?;
        Ok(Self {
            source: source.name.clone(),
            delimiter,
            comment: source.comment.and_then(|sign| u8::try_from(sign).ok()),
            decimal: source.decimal,
            attributes: if unknown_columns == UnknownColumns::Keep { unknown } else { Vec::new() },
            header,
            columns,
            required,
            id_fields,
            id_rule: IdRule { scope: source.id_scope, has_names: true },
            types: EventTypeRule::new(
                source.types.clone().unwrap_or_else(|| config.events.types.clone()),
                source.type_aliases.clone(),
            ),
            time_zone: source.time_zone.unwrap_or(config.events.time_zone),
            time_form: None,
            price_below: (config.events.price_low_below, config.events.price_medium_below),
            is_edited: false,
        })
    }
}

fn id_fields(
    source: &Source,
    columns: &BTreeMap<String, usize>,
    header: &[String],
) -> Result<Vec<usize>, Unmappable> {
    let field = |column: &String| columns.get(column).copied().ok_or_else(|| no_column(header, column));
    let mut fields: Vec<usize> = source.id_from.iter().map(field).collect::<Result<_, _>>()?;
    fields.sort_unstable();
    Ok(fields)
}

fn no_column(header: &[String], missing: &str) -> Unmappable {
    let mut names = vec![missing];
    names.extend(aliases(missing));
    Unmappable(format!(
        "no column for {missing}; expected one of {}, found {}; name it in a [[source]]: columns = {{ {missing} = \
         \"…\" }}",
        names.join(", "),
        shown(header)
    ))
}

/// A header for output, shortened.
fn shown(header: &[String]) -> String {
    shortened(&header.join(", "), SHORT).into_owned()
}

fn aliases(column: &str) -> &'static [&'static str] {
    ALIASES.iter().find(|(name, _)| *name == column).map_or(&[], |(_, aliases)| aliases)
}

/// `Event Type` and `event-type` are `event_type`.
fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(source: &Source, header: &str) -> Result<Mapping, String> {
        let header = header.split(',').map(str::to_owned).collect();
        Mapping::resolve(&Config::default(), source, b',', header).map_err(|Unmappable(line)| line)
    }

    #[test]
    fn columns_are_found_by_name_and_alias() {
        let mapping = resolve(&Source::default(), "Event Time,event_type,user_id,price,extra").unwrap();
        let found: Vec<_> = mapping.columns.iter().map(|(name, field)| (name.as_str(), *field)).collect();
        assert_eq!(found, [("customer_id", 2), ("event_timestamp", 0), ("event_type", 1), ("price", 3)]);
        assert_eq!(mapping.attributes, [4]);
    }

    #[test]
    fn a_field_fills_one_column_and_a_configured_one_comes_first() {
        let columns = BTreeMap::from([("device_type".to_owned(), "event".to_owned())]);
        let source = Source { columns, ..Source::default() };
        let mapping = resolve(&source, "event,action,ts").unwrap();
        assert_eq!((mapping.columns["device_type"], mapping.columns["event_type"]), (0, 1));
    }

    #[test]
    fn fields_are_separated_as_configured_or_by_the_files_name() {
        let semicolon = Source { delimiter: Some(';'), ..Source::default() };
        let usual = Source::default();
        for (source, name, delimiter) in [
            (&usual, "in/a.csv", b','),
            (&usual, "in/A.TSV.gz", b'\t'),
            (&semicolon, "a.csv", b';'),
            (&semicolon, "a.tsv", b';'),
        ] {
            assert_eq!(delimiter_of(source, Path::new(name)), delimiter, "{name}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_mapped_is_shown_beside_what_was_expected() {
        let line = resolve(&Source::default(), "when,what").unwrap_err();
        assert!(line.contains("no column for event_type; expected one of event_type, event,"), "{line}");
        assert!(line.contains("found when, what"), "{line}");
    }

    #[test]
    fn a_header_that_cannot_be_mapped_is_shown_shortened_and_without_control_characters() {
        let long = "\u{1b}[2Jsecret,".to_owned() + &"x".repeat(60_000);
        let by_name = Source { columns: [("price".to_owned(), "p".to_owned())].into(), ..Source::default() };
        let strict = Source { unknown_columns: Some(UnknownColumns::Park), ..Source::default() };
        for (source, header) in [
            (&Source::default(), long.clone()),
            (&by_name, long.clone()),
            (&strict, format!("event,time,\u{1b}{}", "x".repeat(60_000))),
        ] {
            let line = resolve(source, &header).unwrap_err();
            assert!(line.len() < 1_000 && !line.contains('\u{1b}') && line.contains("\\u{1b}"), "{line}");
        }
    }
}
