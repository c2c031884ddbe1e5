//! The output of commands that only read.

use std::path::{Path, PathBuf};

use common::config::Config;
use common::event::has_doubtful_ids;
use common::printable::{Printable, SHORT, printable, shortened};
use common::{Exit, print_json, print_line};
use serde::Serialize;

use crate::check;
use crate::check::event_ids::{Duplicates, EventIds};
use crate::checkpoint::{Checkpoint, Reader};

pub(super) fn checked(config: &Config, files: &[PathBuf]) -> Exit {
    let (mut exit, mut ids) = (Exit::Ok, EventIds::default());
    for path in files {
        match check::check(config, path, &mut ids) {
            Ok(checked) => {
                print_line(format_args!(
                    "{}: {} rows, {} of them rejected, by [[source]] {}",
                    Printable(checked.path.display()),
                    checked.rows,
                    checked.rejected,
                    printable(&checked.source)
                ));
                for (column, name) in &checked.columns {
                    print_line(format_args!("  {column} <- {}", shortened(name, SHORT)));
                }
                if !checked.attributes.is_empty() {
                    let names = checked.attributes.join(", ");
                    print_line(format_args!("  attributes <- {}", shortened(&names, 10 * SHORT)));
                }
                if let Some(renamed) = &checked.renamed {
                    print_line(format_args!("  {}", shortened(renamed, 10 * SHORT)));
                }
                if checked.attributes.iter().any(|name| name.eq_ignore_ascii_case("id")) {
                    print_line(format_args!(
                        "  a column that is only called id may be that of something else; where it identifies events, \
                         write into a [[source]]: columns = {{ event_id = \"id\" }}"
                    ));
                }
                let Duplicates { all, differing } = checked.duplicates;
                if all > 0 {
                    print_line(format_args!(
                        "  {all} rows have the id of an earlier row, {differing} of them with other content"
                    ));
                }
                if has_doubtful_ids(checked.rows, differing) {
                    exit = Exit::Failed;
                    print_line(format_args!(
                        "  these ids are hardly those of events, and such rows become duplicates; write into a \
                         [[source]]: id_scope = \"file\", or event_id = false"
                    ));
                }
                for (row, why) in &checked.examples {
                    print_line(format_args!("  row {row}, {}", shortened(why, 2 * SHORT)));
                }
                if checked.rejected > 0 {
                    exit = Exit::Failed;
                }
            }
            Err(error) => {
                print_line(format_args!("{:#}", anyhow::Error::new(error)));
                exit = Exit::Failed;
            }
        }
    }
    exit
}

/// A file, as `producer checkpoint list --json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    file_id: i64,
    state: &'static str,
    rows: i64,
    offset: u64,
    path: PathBuf,
    /// Where the file is now, which may be in the archive; `None` if it was deleted.
    place: Option<PathBuf>,
}

pub(super) fn checkpoints(config: &Config, json: bool) -> anyhow::Result<()> {
    let dir = config.checkpoint_dir();
    let Some(reader) = Reader::open(&dir)? else {
        anyhow::bail!("{} is no directory; nothing was tailed with this configuration yet", dir.display())
    };
    let mut all = reader.rows().all()?;
    all.sort_by(|a, b| a.path.cmp(&b.path));
    if json {
        let listed: Vec<Listed> = all.iter().map(Listed::from).collect();
        return print_json(&listed);
    }
    print_line(format_args!("{:<20} {:<10} {:>10} {:>12}  file", "file_id", "state", "row", "offset"));
    for one in all {
        let (row, offset) = (one.reached.row, one.reached.offset);
        print_line(format_args!(
            "{:<20} {:<10} {row:>10} {offset:>12}  {}",
            one.file_id.get(),
            one.state.as_str(),
            Printable(one.path.display())
        ));
    }
    Ok(())
}

impl From<&Checkpoint> for Listed {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            file_id: checkpoint.file_id.get(),
            state: checkpoint.state.as_str(),
            rows: checkpoint.reached.row,
            offset: checkpoint.reached.offset,
            path: checkpoint.path.clone(),
            place: checkpoint.place().map(Path::to_owned),
        }
    }
}
