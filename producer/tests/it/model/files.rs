//! The landing directory as the model knows it: which content stands under which name, and what has been there.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::test_env::HEADER;

/// How a record looks in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Looks {
    Plain,
    WindowsEnd,
    QuotedLineEnd,
    BehindABlankLine,
    /// A field is missing.
    Bad,
}

/// One content of a file, from its first byte to its last. A file that is rewritten gets another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    text: String,
    written: usize,
    /// What is to be found in each record, and where it ends.
    pub(crate) records: Vec<(String, usize)>,
    /// How many records are known to have been delivered.
    pub(crate) proven: usize,
}

impl Version {
    fn complete(&self) -> usize {
        self.records.iter().filter(|(_, end)| *end <= self.written).count()
    }

    /// The first `keep` complete records of this one, and others behind them, which are in no other version.
    fn changed(&self, keep: usize, number: usize, looks: &[Looks]) -> Self {
        let kept = &self.records[..keep.min(self.complete())];
        let end = kept.last().map_or(HEADER.len(), |(_, end)| *end);
        let mut text = if self.text.is_empty() { HEADER.to_owned() } else { self.text[..end].to_owned() };
        let mut records = kept.to_vec();
        let written = end.min(self.written);
        for (record, look) in looks.iter().enumerate() {
            let name = format!("v{number} r{record}");
            let (row, content) = row(&name, *look);
            text += &row;
            records.push((content, text.len()));
        }
        Self { text, written, records, proven: 0 }
    }
}

/// A row in its file, and what it is known by: its customer, or all of it where it is no event.
fn row(name: &str, look: Looks) -> (String, String) {
    let (mut before, mut customer, mut price, mut end) = ("", name.to_owned(), ",1.50", "\n");
    match look {
        Looks::Plain => {}
        Looks::WindowsEnd => end = "\r\n",
        Looks::QuotedLineEnd => customer += "\nof \"two\" lines",
        Looks::BehindABlankLine => before = "\n",
        Looks::Bad => price = "",
    }
    let quoted = customer.replace('"', "\"\"");
    let record = format!("id {name},view,2024-03-13T10:21:14Z,\"{quoted}\",A thing{price}");
    let content = if matches!(look, Looks::Bad) { record.clone() } else { customer };
    (format!("{before}{record}{end}"), content)
}

/// All of them.
pub(crate) struct Files {
    dir: PathBuf,
    /// How the records of new versions look, in turn.
    looks: Vec<Vec<Looks>>,
    /// Every content that ever was.
    pub(crate) versions: Vec<Version>,
    /// What stands where now.
    pub(crate) live: BTreeMap<String, usize>,
}

impl Files {
    pub(crate) fn new(dir: PathBuf, looks: Vec<Vec<Looks>>) -> Self {
        Self { dir, looks, versions: Vec::new(), live: BTreeMap::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Another content under this name, which begins with records of what is there.
    fn begin(&mut self, name: &str, keep: usize) -> &mut Version {
        let number = self.versions.len();
        let looks = &self.looks[number % self.looks.len()];
        let before = self.live.get(name).map(|version| self.versions[*version].clone()).unwrap_or_default();
        self.versions.push(before.changed(keep, number, looks));
        self.live.insert(name.to_owned(), number);
        &mut self.versions[number]
    }

    pub(crate) fn append(&mut self, name: &str, bytes: usize) {
        let path = self.path(name);
        let version = match self.live.get(name) {
            Some(version) => &mut self.versions[*version],
            None => self.begin(name, 0),
        };
        let end = (version.written + bytes).min(version.text.len());
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(&version.text.as_bytes()[version.written..end]).unwrap();
        version.written = end;
    }

    /// Cuts the file's end off; what is appended later is another one.
    pub(crate) fn cut(&mut self, name: &str, keep: usize) {
        let path = self.path(name);
        let Some(before) = self.live.get(name).copied() else { return };
        let length = self.begin(name, keep).written;
        if length < self.versions[before].written {
            OpenOptions::new().write(true).open(path).unwrap().set_len(length as u64).unwrap();
        } else {
            // Nothing to cut off: it is what it was.
            self.versions.pop();
            self.live.insert(name.to_owned(), before);
        }
    }

    /// Writes the file anew in its place, as `cp` does, with some of its records as they were.
    pub(crate) fn rewrite(&mut self, name: &str, keep: usize, bytes: usize) {
        let path = self.path(name);
        if self.live.contains_key(name) {
            let version = self.begin(name, keep);
            version.written = (version.written + bytes).min(version.text.len());
            fs::write(path, &version.text[..version.written]).unwrap();
        }
    }

    /// Puts another file in its place, as editors do, with some of its records as they were.
    pub(crate) fn replace(&mut self, name: &str, keep: usize, bytes: usize) {
        let (path, part) = (self.path(name), self.path("next.part"));
        if self.live.contains_key(name) {
            let version = self.begin(name, keep);
            version.written = (version.written + bytes).min(version.text.len());
            fs::write(&part, &version.text[..version.written]).unwrap();
            fs::rename(part, path).unwrap();
        }
    }

    /// Gives the file another name, so that a new one can come under the old.
    pub(crate) fn rotate(&mut self, name: &str) {
        if let Some(version) = self.live.remove(name) {
            let rotated = format!("{}-{version}.csv", name.trim_end_matches(".csv"));
            fs::rename(self.path(name), self.path(&rotated)).unwrap();
            self.live.insert(rotated, version);
        }
    }

    pub(crate) fn exchange(&mut self, one: &str, other: &str) {
        if let (Some(a), Some(b)) = (self.live.get(one).copied(), self.live.get(other).copied()) {
            renameat_with(CWD, self.path(one), CWD, self.path(other), RenameFlags::EXCHANGE).unwrap();
            self.live.insert(one.to_owned(), b);
            self.live.insert(other.to_owned(), a);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.live.remove(name).is_some() {
            fs::remove_file(self.path(name)).unwrap();
        }
    }

    /// Writes all that is still to be written.
    pub(crate) fn complete(&mut self) {
        let names: Vec<String> = self.live.keys().cloned().collect();
        for name in names {
            self.append(&name, usize::MAX / 2);
        }
    }

    /// What each file that is there holds in complete records.
    pub(crate) fn visible(&self) -> Vec<&[(String, usize)]> {
        let complete = |version: &usize| {
            let version = &self.versions[*version];
            &version.records[..version.complete()]
        };
        self.live.values().map(complete).collect()
    }

    /// Takes note that all that is visible has been delivered.
    pub(crate) fn prove(&mut self) {
        for version in self.live.values() {
            let version = &mut self.versions[*version];
            version.proven = version.complete();
        }
    }
}
