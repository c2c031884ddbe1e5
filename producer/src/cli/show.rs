//! What the commands print that only look.

use std::path::PathBuf;

use common::config::Config;
use common::printable::{Printable, SHORT, printable, shortened};
use common::{Exit, say_line};

use crate::check;
use crate::checkpoint::Store;

pub(super) fn checked(config: &Config, files: &[PathBuf]) -> Exit {
    let mut exit = Exit::Ok;
    for path in files {
        match check::check(config, path) {
            Ok(checked) => {
                say_line(format_args!(
                    "{}: {} rows, {} of them rejected, by [[source]] {}",
                    Printable(checked.path.display()),
                    checked.rows,
                    checked.rejected,
                    printable(&checked.source)
                ));
                for (column, name) in &checked.columns {
                    say_line(format_args!("  {column} <- {}", shortened(name, SHORT)));
                }
                if !checked.attributes.is_empty() {
                    let names = checked.attributes.join(", ");
                    say_line(format_args!("  attributes <- {}", shortened(&names, 10 * SHORT)));
                }
                for (row, why) in &checked.examples {
                    say_line(format_args!("  row {row}, {}", shortened(why, 2 * SHORT)));
                }
                if checked.rejected > 0 {
                    exit = Exit::Failed;
                }
            }
            Err(error) => {
                say_line(format_args!("{:#}", anyhow::Error::new(error)));
                exit = Exit::Failed;
            }
        }
    }
    exit
}

pub(super) fn checkpoints(config: &Config) -> anyhow::Result<()> {
    let dir = config.checkpoint_dir();
    anyhow::ensure!(
        dir.is_dir(),
        "{} is no directory; nothing was tailed with this configuration yet",
        dir.display()
    );
    let mut all = Store::open(&dir)?.select(|_| true);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    say_line(format_args!("{:<20} {:<10} {:>10} {:>12}  file", "file_id", "state", "row", "offset"));
    for one in all {
        let (row, offset) = (one.reached.row, one.reached.offset);
        say_line(format_args!(
            "{:<20} {:<10} {row:>10} {offset:>12}  {}",
            one.file_id.get(),
            one.state.as_str(),
            Printable(one.path.display())
        ));
    }
    Ok(())
}
