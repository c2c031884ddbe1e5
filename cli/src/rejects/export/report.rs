//! What was written and what was left out, for people and for scripts.

use std::path::PathBuf;

use common::printable::{Printable, printable};
use serde::Serialize;

use crate::rejects::count;
use crate::run_report::path_as_text;

/// What has become of the rows.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Rows that were written.
    pub(super) rows: i64,
    pub(super) files: Vec<WrittenFile>,
    pub(super) left_out: Vec<LeftOut>,
}

/// A file that was written.
#[derive(Debug, Serialize)]
pub(super) struct WrittenFile {
    #[serde(serialize_with = "path_as_text")]
    pub(super) file: PathBuf,
    pub(super) rows: i64,
}

/// Rows that could not be written.
#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    pub(super) rows: i64,
    /// One of them, where it is known.
    pub(super) example: Option<String>,
    pub(super) why: String,
}

impl Report {
    /// For people.
    pub(super) fn to_text(&self) -> String {
        let file =
            |one: &WrittenFile| format!("{}: {}", Printable(one.file.display()), count(one.rows, "row"));
        let mut lines: Vec<String> = self.files.iter().map(file).collect();
        for LeftOut { rows, example, why } in &self.left_out {
            let example = example.as_ref().map_or_else(String::new, |row| format!(" ({row})"));
            let line = format!("left out: {}{example}: {why}", count(*rows, "row"));
            lines.push(printable(&line).into_owned());
        }
        lines.push(match self.rows {
            0 if self.left_out.is_empty() => "no open rejects".to_owned(),
            0 => "nothing was written".to_owned(),
            _ => "edit the rows, keep the first column, then: millrace rejects retry FILE".to_owned(),
        });
        lines.join("\n")
    }
}
