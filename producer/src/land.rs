//! Puts finished files into a directory: records enter, a file of a new name leaves, complete or not at all.
//!
//! Records go to a `.part` file, which readers ignore. Landing it is fsync, then a rename that refuses to
//! replace anything, then fsync of the directory, so that a file that can be seen is complete, and stays so
//! when the machine loses power. The `.part` file's own name is random: any number of generators may share a
//! directory.

use std::fs::{self, File, Permissions};
use std::io;
use std::iter;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use csv::ByteRecord;
use tempfile::NamedTempFile;

/// The size of the write buffer, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug, thiserror::Error)]
#[error("failed to {attempt} {}", path.display())]
pub struct Error {
    attempt: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Error {
    /// For `map_err`: what was attempted, with what.
    pub fn on(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { attempt, path: path.to_owned(), source }
    }
}

/// Begins a file in `dir` whose name readers ignore. It is removed when it is dropped.
pub fn part(dir: &Path, prefix: &str) -> Result<NamedTempFile, Error> {
    tempfile::Builder::new()
        .prefix(prefix)
        .suffix(".csv.part")
        // Minus the umask, as for any other file. By default, only the owner can read temporary files.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .map_err(Error::on("begin a file in", dir))
}

/// Syncs a file and gives it the first of `names` that is free in `dir`. Never replaces a file.
pub fn place(
    mut part: NamedTempFile,
    dir: &Path,
    mut names: impl Iterator<Item = String>,
) -> Result<PathBuf, Error> {
    let mut taken = Error::on("land a file in", dir)(io::ErrorKind::AlreadyExists.into());
    let path = loop {
        let Some(name) = names.next() else { return Err(taken) };
        let path = dir.join(name);
        match part.persist_noclobber(&path) {
            Ok(_) => break path,
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                taken = Error::on("land", &path)(error.error);
                part = error.file;
            }
            Err(failed) => return Err(Error::on("land", &path)(failed.error)),
        }
    };
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::on("sync", dir))?;
    Ok(path)
}

/// A directory in which files land as `events_YYYYMMDD_HHMMSS_NNN.csv`.
#[derive(Debug)]
pub(crate) struct Landing {
    dir: PathBuf,
    /// The second in the last file's name, and its number in that second. Counting on from there, rather than
    /// from what the directory holds, keeps a name from coming back after its file has gone to the archive.
    last: (String, u32),
}

impl Landing {
    /// A landing in `dir`, which is made when missing.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::on("make directory", dir))?;
        Ok(Self { dir: dir.to_owned(), last: Default::default() })
    }

    /// Begins a file with this header, to be named after `time`.
    pub(crate) fn begin(&self, time: DateTime<Utc>, header: &[&str]) -> Result<LandingFile, Error> {
        let second = time.format("%Y%m%d_%H%M%S").to_string();
        let part = part(&self.dir, &format!("events_{second}."))?;
        let mut writer =
            csv::WriterBuilder::new().flexible(true).buffer_capacity(BUFFER_BYTES).from_writer(part);
        let written = writer.write_record(header).map_err(io::Error::from);
        let file = LandingFile { writer, second };
        file.check(written)?;
        Ok(file)
    }

    /// Gives a finished file the first free name of its second. Never replaces a file.
    pub(crate) fn land(&mut self, file: LandingFile) -> Result<PathBuf, Error> {
        if self.last.0 != file.second {
            self.last = (file.second.clone(), 0);
        }
        let part = file.finish()?;
        common::fault::point("before_landing");
        let (second, number) = &mut self.last;
        let names = iter::repeat_with(|| {
            *number += 1;
            format!("events_{second}_{number:03}.csv")
        });
        place(part, &self.dir, names)
    }
}

/// A file with a temporary name. Dropped before it has landed, it is removed.
#[derive(Debug)]
pub(crate) struct LandingFile {
    writer: csv::Writer<NamedTempFile>,
    second: String,
}

impl LandingFile {
    /// Adds a record, of any number of fields.
    pub(crate) fn write(&mut self, record: &ByteRecord) -> Result<(), Error> {
        let written = self.writer.write_byte_record(record).map_err(io::Error::from);
        self.check(written)
    }

    /// Syncs the file, which still has its temporary name.
    fn finish(mut self) -> Result<NamedTempFile, Error> {
        let synced = self.writer.flush().and_then(|()| self.writer.get_ref().as_file().sync_all());
        self.check(synced)?;
        let path = self.writer.get_ref().path().to_owned();
        self.writer.into_inner().map_err(|error| Error::on("write", &path)(error.into_error()))
    }

    fn check(&self, written: io::Result<()>) -> Result<(), Error> {
        written.map_err(Error::on("write", self.writer.get_ref().path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn land_one(landing: &mut Landing, field: &str) -> PathBuf {
        let mut file = landing.begin(TIME, &["column"]).unwrap();
        file.write(&ByteRecord::from(vec![field])).unwrap();
        landing.land(file).unwrap()
    }

    #[test]
    fn a_file_is_seen_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let landing_dir = dir.path().join("not made yet");
        let mut landing = Landing::open(&landing_dir).unwrap();
        let file = landing.begin(TIME, &["column"]).unwrap();
        assert!(names(&landing_dir).iter().all(|name| name.ends_with(".csv.part")));

        let path = landing.land(file).unwrap();
        assert_eq!(names(&landing_dir), ["events_19700101_000000_001.csv"]);
        assert_eq!(fs::read_to_string(path).unwrap(), "column\n");
    }

    #[test]
    fn a_taken_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("events_19700101_000000_001.csv");
        fs::write(&taken, "mine").unwrap();

        let path = land_one(&mut Landing::open(dir.path()).unwrap(), "new");
        assert_eq!(fs::read_to_string(taken).unwrap(), "mine");
        assert_eq!(path, dir.path().join("events_19700101_000000_002.csv"));
    }

    #[test]
    fn a_name_does_not_come_back_once_its_file_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut landing = Landing::open(dir.path()).unwrap();
        let first = land_one(&mut landing, "first");
        fs::remove_file(&first).unwrap();
        assert_ne!(land_one(&mut landing, "second"), first);
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(Landing::open(dir.path()).unwrap().begin(TIME, &["column"]).unwrap());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn generators_that_share_a_directory_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for generator in 0..4 {
                let mut landing = Landing::open(dir.path()).unwrap();
                scope.spawn(move || {
                    for file in 0..10 {
                        land_one(&mut landing, &format!("{generator}-{file}"));
                    }
                });
            }
        });
        let mut contents: Vec<_> =
            names(dir.path()).iter().map(|name| fs::read(dir.path().join(name)).unwrap()).collect();
        contents.sort();
        contents.dedup();
        assert_eq!(contents.len(), 40);
    }
}
