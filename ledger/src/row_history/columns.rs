//! The columns of a table's row as PostgreSQL wrote them to JSON: in their order, and numbers digit for digit.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Names and values, without those that are null.
#[derive(Clone, Debug, Default)]
pub struct Columns(Vec<(String, Box<RawValue>)>);

impl Columns {
    /// Each column's name and its value as text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, value)| (name.as_str(), text(value)))
    }
}

/// Text without its quotes, everything else as it stands.
fn text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnsVisitor;
        impl<'de> Visitor<'de> for ColumnsVisitor {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = map.next_entry()? {
                    columns.push(column);
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_map(ColumnsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_their_order_and_their_digits() {
        let json = r#"{"z":"a\"b","price":3.50,"attributes":{"b":1,"a":2}}"#;
        let columns: Columns = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&columns).unwrap(), json);
        let seen: Vec<_> = columns.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(seen, ["z=a\"b", "price=3.50", r#"attributes={"b":1,"a":2}"#]);
    }
}
