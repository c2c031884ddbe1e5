//! How a file that is read for the first time is mapped. Its header and the mappings of other files enter; its mapping
//! leaves, which is then pinned.
//!
//! An edited file brings rows of another file, so it is mapped as a file of that file's kind, whatever its own name is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::FileId;
use common::config::{Config, Source};
use common::event::ORIGIN_COLUMN;

use crate::csv::header::Head;
use crate::map::{Limits, Mapping, MaxPayload, Unmappable, origin_of, source_of};

/// What new files are mapped by: the configuration, and the broker's limit.
#[derive(Debug)]
pub struct MappingRules {
    config: Config,
    max_payload: MaxPayload,
}

/// A file that was mapped before.
#[derive(Clone, Debug)]
pub(crate) struct MappedFile {
    pub path: PathBuf,
    pub mapping: Option<Arc<Mapping>>,
}

impl MappingRules {
    pub fn new(config: &Config, max_payload: MaxPayload) -> Self {
        Self { config: config.clone(), max_payload }
    }

    /// Of files that have none yet.
    pub fn limits(&self) -> Limits {
        Limits { max_record_bytes: self.config.tail.max_record_bytes, max_payload: self.max_payload() }
    }

    /// The largest message that can be sent now, in bytes.
    pub(crate) fn max_payload(&self) -> usize {
        self.max_payload.bytes()
    }

    /// The `[[source]]` of a file of this name.
    pub(crate) fn source_of(&self, name: &Path) -> Source {
        source_of(&self.config, name)
    }

    /// The mapping of the file that has this head, by its own `source` unless it is an edited one, whose rows come from
    /// `original`.
    pub(crate) fn resolve(
        &self,
        source: &Source,
        head: &Head,
        original: Option<MappedFile>,
    ) -> Result<Mapping, Unmappable> {
        let Head { delimiter, ref header, .. } = *head;
        let by = |source: &Source| Mapping::resolve(&self.config, source, delimiter, header.clone());
        let Some(original) = original else { return by(source) };
        // As the configuration is now, since that may be what was corrected; as it was then, where the configuration has
        // no files of this kind any more.
        let now = self.source_of(&original.path);
        let Some(then) = original.mapping.and_then(|then| then.of_edited(header, delimiter)) else {
            return by(&now);
        };
        let built_in = Source::default().name;
        // The ids are those that its rows would have had in their own file.
        let id_rule = then.id_rule;
        let by = |source: &Source| by(source).map(|mapping| Mapping { id_rule, ..mapping });
        match self.config.source.iter().find(|one| one.name == then.source && one.name != built_in) {
            Some(same) => by(same).or(Ok(then)),
            None if now.name == built_in && then.source != built_in => Ok(then),
            None => by(&now).or(Ok(then)),
        }
    }
}

/// The file that the first row comes from of an edited file that begins with `bytes`; `None` of other files.
pub(crate) fn original_of(head: &Head, bytes: &[u8]) -> Option<FileId> {
    head.header.first().filter(|name| *name == ORIGIN_COLUMN)?;
    let first = bytes.get(head.rows_begin..).unwrap_or_default().trim_ascii_start();
    origin_of(first, head.delimiter).ok().map(|origin| origin.file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use common::config::EventTypes;

    use super::*;
    use crate::csv::header;
    use crate::csv::records::Splitter;
    use crate::map::event_id::IdRule;
    use crate::map::{delimiter_of, delimiter_of_edited};

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
        let delimiter = delimiter_of_edited(text.as_bytes()).unwrap_or_else(|| delimiter_of(&source, path));
        let splitter = Splitter { delimiter, comment: None };
        let head = header::find(text.as_bytes(), splitter, true).unwrap().unwrap();
        let original = original_of(&head, text.as_bytes());
        let original = known.filter(|known| Some(known.0) == original).map(|known| known.1.clone());
        MappingRules::new(config, MaxPayload::DEFAULT).resolve(&source, &head, original)
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
        // Without the file's checkpoint, its name decides.
        assert!(resolved(&config, "fixed.csv", &edited(7, ORDERS), None).is_err());
        assert_eq!(resolved(&config, "orders_1.7.csv", &edited(7, ORDERS), None).unwrap().source, "orders");
        // Corrected twice: the name is that of an edited file.
        let again = read(&config, 8, "orders_1.7.retry_1.csv", &edited(7, ORDERS));
        let config = orders("orders_1.csv");
        assert_eq!(
            resolved(&config, "fixed.csv", &edited(8, ORDERS), Some(&again)).unwrap().source,
            "orders"
        );
    }

    #[test]
    fn the_ids_of_an_edited_file_are_those_of_the_file_that_its_rows_come_from() {
        let config = orders("orders_*.csv");
        let (id, mut original) = read(&config, 7, "landing/orders_1.csv", ORDERS);
        // It was mapped before there were rules for ids.
        let mapping = Mapping::clone(original.mapping.as_ref().unwrap());
        original.mapping = Some(Arc::new(Mapping { id_rule: IdRule::default(), ..mapping }));
        let mapping = resolved(&config, "fixed.csv", &edited(7, ORDERS), Some(&(id, original))).unwrap();
        assert_eq!(mapping.id_rule, IdRule::default());
        let new = resolved(&config, "orders_2.csv", ORDERS, None).unwrap();
        assert_ne!(new.id_rule, IdRule::default());
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
