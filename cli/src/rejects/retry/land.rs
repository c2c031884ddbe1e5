//! Copies an edited file to the landing directory: completely or not at all, and without replacing another file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use common::Clock;
use producer::land::{self, Error};

/// Endings of the names that are read; a file of another name lands as the first.
const ENDINGS: [&str; 6] = [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"];
/// Follows the name of the edited file in that of the copy.
const MARK: &str = ".retry_";

/// The name of the copy has that of `file` and the time.
pub(super) fn land(file: &Path, landing: &Path, clock: Clock) -> Result<PathBuf, Error> {
    fs::create_dir_all(landing).map_err(Error::on("make directory", landing))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let ending = ENDINGS.iter().rfind(|ending| name.to_lowercase().ends_with(**ending));
    let stem = &name[..name.len() - ending.map_or(0, |ending| ending.len())];
    let stem = stem.split(MARK).next().unwrap_or_default();
    let time = clock.now().format("%Y%m%d_%H%M%S");

    let mut part = land::part(landing, &format!("{stem}."))?;
    let mut from = File::open(file).map_err(Error::on("read", file))?;
    let copied = io::copy(&mut from, part.as_file_mut()).and_then(|_| part.as_file().sync_all());
    copied.map_err(Error::on("copy", file))?;
    let ending = ending.unwrap_or(&ENDINGS[0]);
    land::place(part, landing, (1..).map(|number| format!("{stem}{MARK}{time}_{number:03}{ending}")))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_landed_file_is_named_after_the_edited_one_and_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::Fixed(DateTime::UNIX_EPOCH);
        let landed = |name: &str| {
            let edited = dir.path().join(name);
            fs::write(&edited, "rows").unwrap();
            let path = land(&edited, &dir.path().join("landing"), clock).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "rows");
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(landed("orders.42.csv"), "orders.42.retry_19700101_000000_001.csv");
        assert_eq!(landed("orders.42.csv"), "orders.42.retry_19700101_000000_002.csv");
        assert_eq!(
            landed("orders.42.retry_19700101_000000_001.77.tsv"),
            "orders.42.retry_19700101_000000_001.tsv"
        );
        assert_eq!(landed("mended by hand.txt"), "mended by hand.txt.retry_19700101_000000_001.csv");
    }
}
