//! What the commands print that only look.

use std::path::{Path, PathBuf};

use common::config::Config;
use common::printable::{Printable, SHORT, printable, shortened};
use common::{Exit, print_json, print_line};
use serde::Serialize;

use crate::check;
use crate::checkpoint::{Checkpoint, Reader};

pub(super) fn checked(config: &Config, files: &[PathBuf]) -> Exit {
    let mut exit = Exit::Ok;
    for path in files {
        match check::check(config, path) {
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
    /// In the archive, or where else it is now; none where it was deleted.
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
