//! The table that a replay fills: `events` and its companions, or one of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::{Executor as _, PgConnection};

use super::Error;

/// A table's name, with its schema where one was given; only letters, digits and `_`, so that it needs no quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableName(String);

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |part: &str| {
            let mut chars = part.chars();
            chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
                && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                && part.len() <= 63
        };
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() <= 2 && parts.iter().all(|part| is_plain(part)) {
            return Ok(Self(text.to_owned()));
        }
        Err("write a table's name in small letters, digits and _, such as purchases or replays.purchases"
            .to_owned())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TableName {
    /// The same in quotes, so that `user` or `order` are names too.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('.', "\".\""))
    }

    /// The statement that inserts the rows of the temporary table that are not in this one.
    pub(super) fn insert(&self) -> String {
        include_str!("../../../sql/replay_insert.sql").replace("{table}", &self.quoted())
    }
}

/// Refuses a table that is there already, unless the replay of this name has made it and is continued.
pub(super) async fn refuse_foreign(
    connection: &mut PgConnection,
    table: &TableName,
    name: &str,
    is_cut: bool,
) -> Result<(), Error> {
    let found: (bool, Option<String>) = sqlx::query_as(include_str!("../../../sql/replay_table.sql"))
        .bind(table.quoted())
        .fetch_one(connection)
        .await
        .map_err(Error::database("look for the table"))?;
    match found {
        (false, _) => Ok(()),
        (true, Some(comment)) if is_cut && comment == mark(name) => Ok(()),
        (true, _) => Err(Error::TableExists { table: table.to_string() }),
    }
}

/// Makes the table where it is missing, with the columns, checks and indexes of `events`, and marks it as this
/// replay's.
pub(super) async fn make(connection: &mut PgConnection, table: &TableName, name: &str) -> Result<(), Error> {
    let quoted = table.quoted();
    let statement = include_str!("../../../sql/replay_make_table.sql")
        .replace("{table}", &quoted)
        .replace("{mark}", &mark(name).replace('\'', "''"));
    connection.execute(&*statement).await.map_err(Error::database("make the table"))?;
    Ok(())
}

fn mark(name: &str) -> String {
    format!("made by millrace replay {name}")
}

#[cfg(test)]
mod tests {
    use super::TableName;

    #[test]
    fn a_name_needs_no_quotes() {
        for good in ["purchases", "replays.purchases_2026", "_x"] {
            assert_eq!(good.parse::<TableName>().unwrap().to_string(), good);
        }
        for bad in ["", "Purchases", "a.b.c", "a;b", "a\"b", "1a", "a."] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
        assert_eq!("a.order".parse::<TableName>().unwrap().quoted(), "\"a\".\"order\"");
    }
}
