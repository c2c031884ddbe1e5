//! How a file that is met for the first time is split and mapped. What enters are its first bytes and what is known of
//! other files; what leaves is settled for as long as the file is read.
//!
//! An edited file brings rows of another file, so it is taken for one of that file's kind, whatever its own name is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::FileId;
use common::config::{Config, Source};
use common::event::ORIGIN_COLUMN;

use crate::csv::header::Head;
use crate::csv::records::Splitter;
use crate::map::{Mapping, Unmappable, delimiter_of, delimiter_of_edited, origin_of, source_of};

/// A file that was mapped before.
#[derive(Clone, Debug)]
pub(crate) struct MappedFile {
    pub path: PathBuf,
    pub mapping: Option<Arc<Mapping>>,
}

/// How the records are split of the file at `path`, which begins with `bytes`.
pub(crate) fn splitter(source: &Source, path: &Path, bytes: &[u8]) -> Splitter {
    Splitter {
        delimiter: delimiter_of_edited(bytes).unwrap_or_else(|| delimiter_of(source, path)),
        comment: source.comment.and_then(|sign| u8::try_from(sign).ok()),
    }
}

/// The mapping of the file whose head is that of `bytes`, by its own `source` unless it is an edited one; `of_file`
/// knows the file that such a one comes from.
pub(crate) fn mapping(
    config: &Config,
    source: &Source,
    delimiter: u8,
    (head, bytes): (&Head, &[u8]),
    of_file: impl FnOnce(FileId) -> Option<MappedFile>,
) -> Result<Mapping, Unmappable> {
    let by = |source: &Source| Mapping::resolve(config, source, delimiter, head.header.clone());
    if head.header.first().is_none_or(|name| name != ORIGIN_COLUMN) {
        return by(source);
    }
    let first = bytes.get(head.rows_begin..).unwrap_or_default().trim_ascii_start();
    let origin = origin_of(first, delimiter).ok();
    let Some(original) = origin.and_then(|origin| of_file(origin.file)) else { return by(source) };
    // As the configuration is now, since that may be what was mended; as it was then, where the configuration no
    // longer knows files of this kind.
    let now = source_of(config, &original.path);
    let Some(then) = original.mapping.and_then(|then| then.of_edited(&head.header, delimiter)) else {
        return by(&now);
    };
    let built_in = Source::default().name;
    match config.source.iter().find(|one| one.name == then.source && one.name != built_in) {
        Some(same) => by(same).or(Ok(then)),
        None if now.name == built_in && then.source != built_in => Ok(then),
        None => by(&now).or(Ok(then)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use common::config::EventTypes;

    use super::*;
    use crate::csv::header;

    const ORDERS: &str = "kind,time,note\nview,2024-01-01 00:00:00,x\n";

    fn orders(files: &str) -> Config {
        let columns = BTreeMap::from([("event_type".to_owned(), "kind".to_owned())]);
        let source =
            Source { name: "orders".to_owned(), files: files.to_owned(), columns, ..Source::default() };
        Config { source: vec![source], ..Config::default() }
    }

    fn resolved(
        config: &Config,
        path: &str,
        text: &str,
        known: Option<&(FileId, MappedFile)>,
    ) -> Result<Mapping, Unmappable> {
        let (path, source) = (Path::new(path), source_of(config, Path::new(path)));
        let splitter = splitter(&source, path, text.as_bytes());
        let head = header::find(text.as_bytes(), splitter, true).unwrap().unwrap();
        let of_file = |file| known.filter(|known| known.0 == file).map(|known| known.1.clone());
        mapping(config, &source, splitter.delimiter, (&head, text.as_bytes()), of_file)
    }

    /// A file that `config` mapped.
    fn read(config: &Config, id: i64, path: &str, text: &str) -> (FileId, MappedFile) {
        let mapping = resolved(config, path, text, None).unwrap();
        (id.into(), MappedFile { path: PathBuf::from(path), mapping: Some(Arc::new(mapping)) })
    }

    fn edited(file: i64, rows_of: &str) -> String {
        let (header, row) = rows_of.split_once('\n').unwrap();
        format!("\u{feff}millrace_origin,{header}\n\n{file}:1,{row}").replace(',', ";")
    }

    #[test]
    fn an_edited_file_is_mapped_as_the_file_that_its_rows_come_from() {
        let config = orders("orders_*.csv");
        let original = read(&config, 7, "landing/orders_1.csv", ORDERS);
        let mapping = resolved(&config, "fixed.csv", &edited(7, ORDERS), Some(&original)).unwrap();
        assert_eq!((mapping.source.as_str(), mapping.is_edited, mapping.delimiter), ("orders", true, b';'));
        assert_eq!((mapping.columns["event_type"], &mapping.attributes), (1, &vec![3]));
        // Without the file's checkpoint its name has to do.
        assert!(resolved(&config, "fixed.csv", &edited(7, ORDERS), None).is_err());
        assert_eq!(resolved(&config, "orders_1.7.csv", &edited(7, ORDERS), None).unwrap().source, "orders");
        // Mended twice, the name is that of an edited file.
        let again = read(&config, 8, "orders_1.7.retry_1.csv", &edited(7, ORDERS));
        let config = orders("orders_1.csv");
        assert_eq!(
            resolved(&config, "fixed.csv", &edited(8, ORDERS), Some(&again)).unwrap().source,
            "orders"
        );
    }

    #[test]
    fn the_configuration_may_be_what_was_mended_or_what_was_forgotten() {
        let config = orders("orders_*.csv");
        let original = read(&config, 7, "landing/orders_1.csv", ORDERS);
        let mut mended = config.clone();
        mended.source[0].types = Some(EventTypes::Any);
        let mapping = resolved(&mended, "fixed.csv", &edited(7, ORDERS), Some(&original)).unwrap();
        assert_eq!(mapping.types.resolve("cart").as_deref(), Ok("cart"));
        let forgotten = Config::default();
        assert_eq!(
            resolved(&forgotten, "fixed.csv", &edited(7, ORDERS), Some(&original)).unwrap().source,
            "orders"
        );
        let other = "kind,time\nview,2024-01-01 00:00:00\n";
        assert!(
            resolved(&forgotten, "fixed.csv", &edited(7, other), Some(&original)).is_err(),
            "other columns"
        );
    }
}
