//! The id of an event: the UUID that its row has, or one that is made of what the row has.

use std::borrow::Cow;

use common::FileId;
use common::config::IdScope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::csv::records::Field;
use crate::map::Mapping;

/// The namespace of ids that are made. It never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8e76_656e_7469_6473);

/// How ids are made. It is kept with the file's mapping, so that a row which is read again gets the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdRule {
    /// Within what a file's own id is of one event only.
    pub scope: IdScope,
    /// Whether the id of a row without one is made of its columns' names too. Without them rows are taken for the same
    /// event whose equal values are in different columns.
    pub has_names: bool,
}

/// That of files whose mapping says nothing about it, which are older than the rule.
impl Default for IdRule {
    fn default() -> Self {
        Self { scope: IdScope::Global, has_names: false }
    }
}

/// The fields that the ids of a file's rows are made of where no column is the id.
#[derive(Debug)]
pub(crate) struct IdFields {
    /// The field, and the name that goes before its value, in the order in which they go into the id.
    fields: Vec<(usize, Option<String>)>,
}

impl IdFields {
    pub(crate) fn of(mapping: &Mapping) -> Self {
        // Where the rejected row stood is no part of the row.
        let first = usize::from(mapping.is_edited);
        let whole: Vec<usize> = (first..mapping.header.len()).collect();
        let fields = if mapping.id_fields.is_empty() { &whole } else { &mapping.id_fields };
        let column = |field: usize| mapping.columns.iter().find(|(_, taken)| **taken == field);
        let name = |field| column(field).map_or(&mapping.header[field], |(column, _)| column).clone();
        let named = |field: &usize| (*field, mapping.id_rule.has_names.then(|| name(*field)));
        let mut fields: Vec<_> = fields.iter().map(named).collect();
        // The order of a file's columns is no part of what happened.
        fields.sort_by(|(_, a), (_, b)| a.cmp(b));
        Self { fields }
    }

    /// The id that a row has by its values.
    pub(crate) fn id(&self, record: &str, fields: &[Field], scratch: &mut Vec<u8>) -> Uuid {
        scratch.clear();
        for (field, name) in &self.fields {
            if let Some(name) = name {
                add(name, scratch);
            }
            add(&fields[*field].value(record), scratch);
        }
        Uuid::new_v5(&NAMESPACE, scratch)
    }
}

/// The id of the event that a file calls `id`, where that is no UUID. `file` is the file that the row belongs to.
pub(crate) fn of_own_id(id: &str, file: FileId, mapping: &Mapping, scratch: &mut Vec<u8>) -> Uuid {
    scratch.clear();
    let scope: Option<(&str, Cow<'_, str>)> = match mapping.id_rule.scope {
        IdScope::Global => None,
        IdScope::Source => Some(("source", mapping.source.as_str().into())),
        IdScope::File => Some(("file", file.to_string().into())),
    };
    if let Some((kind, name)) = scope {
        add(kind, scratch);
        add(&name, scratch);
    }
    add(id, scratch);
    Uuid::new_v5(&NAMESPACE, scratch)
}

/// A value behind its length in bytes, as four bytes, big-endian.
fn add(value: &str, bytes: &mut Vec<u8>) {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use common::config::{Config, Source};

    use super::*;
    use crate::csv::records::{Split, Splitter};

    fn mapping(source: &Source, header: &str) -> Mapping {
        let header = header.split(',').map(str::to_owned).collect();
        Mapping::resolve(&Config::default(), source, b',', header).unwrap()
    }

    fn id_of_row(mapping: &Mapping, record: &str) -> String {
        let mut fields = Vec::new();
        let splitter = Splitter { delimiter: b',', comment: None };
        let split = splitter.split(record.as_bytes(), true, &mut fields);
        assert!(matches!(split, Split::Record { .. }), "{record}");
        IdFields::of(mapping).id(record, &fields, &mut Vec::new()).to_string()
    }

    /// The expected ids were made by another program, by the description in the user guide.
    #[test]
    fn rule_ids_have_a_scope() {
        for (scope, id) in [
            (IdScope::Global, "28b3eb93-3bff-5a8e-860c-18b73e3e0b9b"),
            (IdScope::Source, "8d9c2355-fd1f-5d6c-99e5-79ef9c8f36a2"),
            (IdScope::File, "8025e9fc-b1b7-589c-b55b-8ee20781d73e"),
        ] {
            let source = Source { name: "shop".to_owned(), id_scope: scope, ..Source::default() };
            let mapping = mapping(&source, "event_id,event_type,ts");
            assert_eq!(of_own_id("7", FileId::from(42), &mapping, &mut Vec::new()).to_string(), id);
        }
    }

    #[test]
    fn rule_ids_have_a_scope_and_a_column_called_id_is_one_only_where_a_source_says_so() {
        let usual = mapping(&Source::default(), "id,event_type,ts");
        assert_eq!((usual.columns.get("event_id"), &usual.attributes), (None, &vec![0]));
        let columns = [("event_id".to_owned(), "id".to_owned())].into();
        let named = mapping(&Source { columns, ..Source::default() }, "id,event_type,ts");
        assert_eq!((named.columns["event_id"], named.attributes.is_empty()), (0, true));
        let none = mapping(&Source { event_id: false, ..Source::default() }, "event_id,event_type,ts");
        assert_eq!((none.columns.get("event_id"), &none.attributes), (None, &vec![0]));
    }

    #[test]
    fn rule_made_ids_name_their_columns() {
        let source = Source::default();
        let red = id_of_row(&mapping(&source, "event_type,ts,colour"), "view,1710325274,red");
        assert_eq!(red, "81b0f560-e4e2-5e44-b380-5809132c928b");
        assert_ne!(id_of_row(&mapping(&source, "event_type,ts,size"), "view,1710325274,red"), red);
        // Neither the order of the columns nor another name for one of the event's makes another event.
        assert_eq!(id_of_row(&mapping(&source, "colour,event,timestamp"), "red,view,1710325274"), red);
        let swapped = ["user_id,product_id", "product_id,user_id"]
            .map(|two| id_of_row(&mapping(&source, &format!("event_type,ts,{two}")), "view,1710325274,5,6"));
        assert_ne!(swapped[0], swapped[1]);
    }

    #[test]
    fn files_that_were_mapped_before_the_rule_keep_their_ids() {
        let mut stored = serde_json::to_value(mapping(&Source::default(), "event_type,ts,colour")).unwrap();
        stored.as_object_mut().unwrap().remove("id_rule");
        let mapping: Mapping = serde_json::from_value(stored).unwrap();
        assert_eq!(id_of_row(&mapping, "view,1710325274,red"), "fc854dc3-0a6c-561e-84b0-5c485ede84e0");
        let own = of_own_id("7", FileId::from(42), &mapping, &mut Vec::new());
        assert_eq!(own.to_string(), "28b3eb93-3bff-5a8e-860c-18b73e3e0b9b");
    }

    #[test]
    fn ids_depend_on_where_values_end() {
        let mapping = mapping(&Source::default(), "event_type,ts,a,b");
        let ids = ["view,1,ab,c", "view,1,a,bc"].map(|row| id_of_row(&mapping, row));
        assert_ne!(ids[0], ids[1]);
    }
}
