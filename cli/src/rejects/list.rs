//! Lists what was rejected: by reason, and row by row if a file or a reason is chosen.

use clap::Args;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use common::printable::{Printable, shortened};
use common::{Exit, print_json, print_text};
use indicatif::HumanCount;
use ledger::rejects::{ByReason, Reject, Rejects};
use serde::Serialize;

use super::{Selection, count};

/// Columns of the screen that a table takes.
const WIDTH: u16 = 100;
/// The longest message that a table shows, in characters.
const SHOWN: usize = 240;

/// Flags of `millrace rejects` itself.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
    /// Also the rows in whose place another one has come.
    #[arg(long)]
    all: bool,
    /// The most rows to show, once --file or --reason is given.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed<'a> {
    total: i64,
    reasons: Vec<Summary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejects: Option<Vec<ListedReject<'a>>>,
}

#[derive(Serialize)]
struct Summary<'a> {
    reason: &'a str,
    rejects: i64,
    files: i64,
    example: ListedReject<'a>,
}

/// A rejected row as scripts read it.
#[derive(Debug, Serialize)]
pub(super) struct ListedReject<'a> {
    origin: Option<String>,
    file: Option<&'a str>,
    row: Option<i64>,
    stage: &'a str,
    reason: &'a str,
    column: Option<&'a str>,
    value: Option<&'a str>,
    message: &'a str,
    /// Bytes that are no text are printed as U+FFFD.
    raw: String,
    truncated: bool,
    closed_at: Option<String>,
    replaced_by: Option<String>,
}

impl List {
    pub(super) async fn run(self, table: &mut Rejects) -> anyhow::Result<Exit> {
        let filter = self.selection.filter(table, self.all).await?;
        let reasons = table.by_reason(&filter).await?;
        let rows =
            if self.selection.is_narrow() { Some(table.first(&filter, self.limit).await?) } else { None };
        if self.json {
            print_json(&Listed::of(&reasons, rows.as_deref()))?;
        } else {
            print_text(self.text(&reasons, rows.as_deref()));
        }
        Ok(Exit::Ok)
    }

    fn text(&self, reasons: &[ByReason], rows: Option<&[Reject]>) -> String {
        let total = total(reasons);
        let noun = if self.all { "reject" } else { "open reject" };
        let all = count(total, noun);
        match rows {
            _ if total == 0 => format!("no {noun}s"),
            None => format!(
                "{}\n{all}; --reason or --file shows the rows, `rejects export DIR` writes them to be edited",
                by_reason(reasons)
            ),
            Some(rows) => {
                let more = total - i64::try_from(rows.len()).unwrap_or(total);
                let more =
                    if more > 0 { format!("; {more} of them not shown (--limit)") } else { String::new() };
                format!("{}\n{all}{more}", by_row(rows))
            }
        }
    }
}

fn total(reasons: &[ByReason]) -> i64 {
    reasons.iter().map(|reason| reason.rejects).sum()
}

fn by_reason(reasons: &[ByReason]) -> Table {
    let mut table = new_table(["reason", "rejects", "files", "example"]);
    for ByReason { rejects, files, example } in reasons {
        let number = |number: i64| HumanCount(number.unsigned_abs()).to_string();
        let first = format!("{}  {}", Printable(example), shown(&example.message));
        table.add_row([example.reason.clone(), number(*rejects), number(*files), first]);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Rejected rows, a line each.
fn by_row(rows: &[Reject]) -> Table {
    let mut table = new_table(["row", "reason", "what is wrong"]);
    for row in rows {
        let closed = row.replaced_by.map_or_else(String::new, |by| format!("; replaced by {by}"));
        table.add_row([Printable(row).to_string(), row.reason.clone(), shown(&row.message) + &closed]);
    }
    table
}

fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    table
}

/// On one line, and not too long.
pub(super) fn shown(message: &str) -> String {
    shortened(message, SHOWN).into_owned()
}

impl<'a> Listed<'a> {
    fn of(reasons: &'a [ByReason], rows: Option<&'a [Reject]>) -> Self {
        let summary = |one: &'a ByReason| Summary {
            reason: &one.example.reason,
            rejects: one.rejects,
            files: one.files,
            example: ListedReject::from(&one.example),
        };
        Self {
            total: total(reasons),
            reasons: reasons.iter().map(summary).collect(),
            rejects: rows.map(|rows| rows.iter().map(ListedReject::from).collect()),
        }
    }
}

impl<'a> From<&'a Reject> for ListedReject<'a> {
    fn from(reject: &'a Reject) -> Self {
        Self {
            origin: reject.origin.map(|origin| origin.to_string()),
            file: reject.path.as_deref(),
            row: reject.origin.map(|origin| origin.row),
            stage: &reject.stage,
            reason: &reject.reason,
            column: reject.column.as_deref(),
            value: reject.value.as_deref(),
            message: &reject.message,
            raw: String::from_utf8_lossy(&reject.raw).into_owned(),
            truncated: reject.truncated,
            closed_at: reject.closed_at.map(|time| time.to_rfc3339()),
            replaced_by: reject.replaced_by.map(|origin| origin.to_string()),
        }
    }
}
