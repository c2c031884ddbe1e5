//! The files, and one thing after the other that is done to them.
//!
//! What a writer puts into a file counts as there to be read when the file is still in the landing directory
//! afterwards: the product may have closed and archived it between the writer's two steps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::compressed::Format;
use super::content::Content;
use super::deck::Deck;
use super::rows::{HEADER, Rows, RowsOf};
use super::{Mode, Settings};
use crate::chaos::expected::{Expected, WrittenFile};
use crate::chaos::kind::Kind;

/// Files that are appended to, truncated and so on at a time. The others land whole.
const LIVE: usize = 8;
/// The most rows of a write.
const ROWS: u64 = 120;
/// How many files land at once in a burst, and the most rows of one.
const BURST: [u64; 2] = [40, 8];

/// The files.
pub(super) struct Files<'a> {
    settings: &'a Settings,
    random: Xoshiro256PlusPlus,
    deck: Deck,
    /// The last strike could not be done, and its kind comes again.
    is_second_try: bool,
    expected: Expected,
    live: Vec<Live>,
    next_serial: u64,
}

/// A file that is still written to.
struct Live {
    number: usize,
    path: PathBuf,
    inode: u64,
    format: Option<Format>,
    /// What is left of something that was written in part: of a row, or of a compressed member.
    rest: Vec<u8>,
}

impl<'a> Files<'a> {
    pub(super) fn new(settings: &'a Settings) -> io::Result<Self> {
        fs::create_dir_all(&settings.dir)?;
        let rows = Rows::new(settings.seed);
        Ok(Self {
            settings,
            random: Xoshiro256PlusPlus::seed_from_u64(settings.seed),
            deck: Deck::new(&settings.kinds),
            is_second_try: false,
            expected: Expected { rows, files: Vec::new(), strikes: [].into(), written: 0 },
            live: Vec::new(),
            next_serial: 1,
        })
    }

    pub(super) fn into_expected(self) -> Expected {
        self.expected
    }

    /// Ends the compressed members that were written in part. Until then their files cannot be closed.
    pub(super) fn finish_members(&mut self) -> io::Result<()> {
        for mut live in std::mem::take(&mut self.live) {
            if live.is_unfinished() && is_at(&live.path, live.inode) {
                self.append_member(&mut live)?;
                self.note_landed(&live);
            }
            self.live.push(live);
        }
        Ok(())
    }

    /// Does one thing and gives how many rows it wrote, or 1 where it wrote none.
    pub(super) fn strike(&mut self, mode: Mode) -> io::Result<u64> {
        let is_allowed = |kind: Kind| mode == Mode::All || !kind.destroys_rows();
        let kind = self.deck.draw(&mut self.random, is_allowed);
        self.strike_as(kind)
    }

    /// Strikes in each chosen way that has not come yet.
    pub(super) fn strike_missing(&mut self) -> io::Result<()> {
        let is_missing = |kind: &Kind| !self.expected.strikes.contains_key(kind);
        let missing: Vec<Kind> = self.deck.kinds().filter(is_missing).collect();
        for kind in missing {
            while !self.expected.strikes.contains_key(&kind) {
                self.strike_as(Some(kind))?;
            }
        }
        Ok(())
    }

    fn strike_as(&mut self, kind: Option<Kind>) -> io::Result<u64> {
        let before = self.next_serial;
        let is_done = match kind {
            None => self.land_whole(None, ROWS).map(|()| true),
            Some(Kind::Compress) => {
                let format = self.format();
                self.land_whole(Some(format), ROWS).map(|()| true)
            }
            Some(Kind::Burst) => {
                (0..BURST[0]).try_for_each(|_| self.land_whole(None, BURST[1])).map(|()| true)
            }
            Some(kind) => self.strike_live(kind),
        }?;
        if let Some(kind) = kind {
            if is_done {
                *self.expected.strikes.entry(kind).or_default() += 1;
            } else {
                self.deck.put_back(kind);
            }
        }
        self.is_second_try = !is_done;
        let written = self.next_serial - before;
        self.expected.written += written;
        Ok(written.max(1))
    }

    /// Strikes one of the files that are still written to. `false` where it has gone to the archive, or a new one landed
    /// instead: at the second try that is struck at once, so that each kind comes also where files are archived faster
    /// than they are struck.
    fn strike_live(&mut self, kind: Kind) -> io::Result<bool> {
        self.live.retain(|live| is_at(&live.path, live.inode));
        // A compressed file that is cut could not be read any more.
        let fits = |live: &Live| kind != Kind::Truncate || live.format.is_none();
        let mut fitting: Vec<usize> = (0..self.live.len()).filter(|at| fits(&self.live[*at])).collect();
        let is_new = fitting.is_empty()
            || (!self.is_second_try && self.random.random_range(0..LIVE) >= self.live.len());
        if is_new {
            let is_compressed = kind != Kind::Truncate
                && self.settings.kinds.contains(&Kind::Compress)
                && self.random.random_bool(0.25);
            let format = is_compressed.then(|| self.format());
            let live = self.land("live", format, false, ROWS)?;
            self.live.push(live);
            if !self.is_second_try {
                return Ok(false);
            }
            fitting = vec![self.live.len() - 1];
        }
        let at = fitting[self.random.random_range(0..fitting.len())];
        let mut live = self.live.swap_remove(at);
        let done = match kind {
            Kind::Append if live.format.is_some() => self.append_member(&mut live),
            Kind::Append => self.append(&mut live),
            Kind::Rotate => return self.rotate(live),
            Kind::Truncate => self.truncate(&mut live),
            Kind::Rewrite if live.format.is_none() && self.random.random_bool(0.5) => self.rewrite(&mut live),
            Kind::Rewrite => return self.replace(&live).map(|()| true),
            _ => return self.remove(&live),
        };
        let is_done = done.map(|()| true).or_else(unless_gone)?;
        self.note_landed(&live);
        self.live.push(live);
        Ok(is_done)
    }

    /// Adds rows, and perhaps ends in the middle of one. One time in five only the rest of such a row.
    fn append(&mut self, live: &mut Live) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&live.path)?;
        let most = if self.random.random_bool(0.2) { 0 } else { ROWS };
        let (first, count) = self.take(most);
        let cut = self.random.random_bool(0.5).then(|| self.take(1).0);
        let content = &mut self.expected.files[live.number].last;
        let mut bytes = std::mem::take(&mut live.rest);
        if bytes.is_empty() && !content.ends_with_line() {
            // The row before was cut off, and is left so.
            bytes.push(b'\n');
        }
        content.add_bytes(&bytes);
        if count > 0 {
            bytes.extend(content.add_lines(self.expected.rows, first, count));
        }
        if let Some(serial) = cut {
            let mut half = self.expected.rows.line(content.of(), serial);
            live.rest = half.split_off(self.random.random_range(0..half.len()));
            content.add_bytes(&half);
            bytes.extend(half);
        }
        content.note_end();
        file.write_all(&bytes)
    }

    /// Adds a compressed member, or a part of one.
    fn append_member(&mut self, live: &mut Live) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(&live.path)?;
        let mut bytes = std::mem::take(&mut live.rest);
        if let (true, Some(format)) = (bytes.is_empty(), live.format) {
            let (first, count) = self.take(ROWS);
            let content = &mut self.expected.files[live.number].last;
            bytes = format.compress(&content.add_lines(self.expected.rows, first, count))?;
            if self.random.random_bool(0.5) {
                live.rest = bytes.split_off(self.random.random_range(1..bytes.len()));
            }
        }
        file.write_all(&bytes)
    }

    /// Cuts the file somewhere behind its first row.
    fn truncate(&mut self, live: &mut Live) -> io::Result<()> {
        let written = &mut self.expected.files[live.number];
        let least = written.last.first_row_end(self.expected.rows);
        let length = self.random.random_range(least..=written.last.length());
        let file = OpenOptions::new().write(true).open(&live.path)?;
        file.set_len(length as u64)?;
        written.replace(written.last.truncated(self.expected.rows, length));
        live.rest.clear();
        Ok(())
    }

    /// Writes other rows into the file: its inode stays.
    fn rewrite(&mut self, live: &mut Live) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).truncate(true).open(&live.path)?;
        let (first, count) = self.take_file(ROWS);
        let written = &mut self.expected.files[live.number];
        let mut content = Content::new(written.last.of());
        let rows = content.add_lines(self.expected.rows, first, count);
        written.replace(content);
        live.rest.clear();
        file.write_all(&[HEADER, &rows].concat())
    }

    /// Renames another file to its name.
    fn replace(&mut self, live: &Live) -> io::Result<()> {
        let other = self.prepare("other", live.format, false, ROWS)?;
        self.expected.files[live.number].is_removed = true;
        fs::rename(&other.path, &live.path)?;
        let name = live.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.expected.files[other.number].name = name;
        self.live.push(Live { path: live.path.clone(), ..other });
        Ok(())
    }

    /// Renames it, and lets another one take its name.
    fn rotate(&mut self, mut live: Live) -> io::Result<bool> {
        let number = self.expected.files.len();
        let to = self.settings.dir.join(format!("rotated_{number}{}", endings(live.format)));
        match fs::rename(&live.path, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed?,
        }
        let other = self.prepare("other", live.format, false, ROWS)?;
        fs::rename(&other.path, &live.path)?;
        self.live.push(Live { path: std::mem::replace(&mut live.path, to), ..other });
        if self.live.len() < LIVE || live.is_unfinished() {
            self.live.push(live);
        }
        Ok(true)
    }

    /// A file lands that nobody writes to any more.
    fn land_whole(&mut self, format: Option<Format>, most: u64) -> io::Result<()> {
        self.land("events", format, true, most).map(drop)
    }

    fn land(&mut self, name: &str, format: Option<Format>, is_quoted: bool, most: u64) -> io::Result<Live> {
        let mut live = self.prepare(name, format, is_quoted, most)?;
        let to = live.path.with_extension("");
        fs::rename(&live.path, &to)?;
        live.path = to;
        Ok(live)
    }

    /// A file with some rows, as `NAME.part`, which is not read.
    fn prepare(
        &mut self,
        name: &str,
        format: Option<Format>,
        is_quoted: bool,
        most: u64,
    ) -> io::Result<Live> {
        let number = self.expected.files.len();
        let name = format!("{name}_{number}{}", endings(format));
        let path = self.settings.dir.join(format!("{name}.part"));
        let of = RowsOf { file: u32::try_from(number).unwrap_or(u32::MAX), is_quoted };
        let mut content = Content::new(of);
        let mut file = File::create_new(&path)?;
        let members = if format.is_some() { self.random.random_range(1..4) } else { 1 };
        for member in 0..members {
            let (first, count) = if member == 0 { self.take_file(most) } else { self.take(most) };
            let mut bytes = content.add_lines(self.expected.rows, first, count);
            if member == 0 {
                bytes.splice(0..0, HEADER.iter().copied());
            }
            file.write_all(&format.map_or(Ok(bytes.clone()), |format| format.compress(&bytes))?)?;
        }
        content.landed = content.length();
        self.expected.files.push(WrittenFile { name, earlier: Vec::new(), last: content, is_removed: false });
        Ok(Live { number, inode: file.metadata()?.ino(), path, format, rest: Vec::new() })
    }

    fn format(&mut self) -> Format {
        if self.random.random_bool(0.5) { Format::Gzip } else { Format::Zstd }
    }

    /// Up to so many new rows.
    fn take(&mut self, most: u64) -> (u64, u64) {
        let count = if most == 0 { 0 } else { self.random.random_range(1..=most) };
        let first = self.next_serial;
        self.next_serial += count;
        (first, count)
    }

    /// The first rows of a file.
    fn take_file(&mut self, most: u64) -> (u64, u64) {
        while !self.expected.rows.is_first(self.next_serial) {
            self.next_serial += 1;
        }
        self.take(most)
    }

    fn note_landed(&mut self, live: &Live) {
        if is_at(&live.path, live.inode) && !live.is_unfinished() {
            let content = &mut self.expected.files[live.number].last;
            content.landed = content.length();
        }
    }

    fn remove(&mut self, live: &Live) -> io::Result<bool> {
        let is_done = fs::remove_file(&live.path).map(|()| true).or_else(unless_gone)?;
        self.expected.files[live.number].is_removed = is_done;
        Ok(is_done)
    }
}

impl Live {
    /// Whether a compressed member is written in part. Such a file is never closed.
    fn is_unfinished(&self) -> bool {
        self.format.is_some() && !self.rest.is_empty()
    }
}

fn is_at(path: &Path, inode: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.ino() == inode)
}

/// The product has moved it to the archive.
fn unless_gone(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::NotFound { Ok(false) } else { Err(error) }
}

fn endings(format: Option<Format>) -> String {
    format.map_or_else(|| ".csv".to_owned(), |format| format!(".csv.{}", format.extension()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Two decks of 50, where each of the 32 strikes on live files needs a second try.
    const BOUND: usize = 2 * (50 + 32);

    fn settings(dir: &Path, seed: u64) -> Settings {
        let kinds = Kind::all().iter().copied().collect();
        Settings { seed, dir: dir.to_owned(), pace: 0, kinds }
    }

    /// How many strikes of each kind there were, after each strike.
    fn strikes(seed: u64, mut after_each: impl FnMut(&Path)) -> Vec<BTreeMap<Kind, u64>> {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path(), seed);
        let mut files = Files::new(&settings).unwrap();
        let strike = |_| {
            files.strike(Mode::All).unwrap();
            after_each(dir.path());
            files.expected.strikes.clone()
        };
        (0..2 * BOUND).map(strike).collect()
    }

    fn each_comes_within_the_bound(counts: &[BTreeMap<Kind, u64>]) {
        let of = |at: usize, kind: Kind| counts[at].get(&kind).copied().unwrap_or(0);
        for kind in Deck::new(&Kind::all().iter().copied().collect()).kinds() {
            let before = (0..counts.len() - BOUND).find(|at| of(at + BOUND, kind) == of(*at, kind));
            assert_eq!(before, None, "no {kind} in {BOUND} strikes after that");
        }
    }

    #[test]
    fn each_kind_comes_within_a_bounded_number_of_strikes() {
        for seed in 0..3 {
            each_comes_within_the_bound(&strikes(seed, |_| {}));
        }
    }

    #[test]
    fn each_kind_comes_also_where_every_file_is_archived_at_once() {
        for seed in 0..3 {
            each_comes_within_the_bound(&strikes(seed, |dir| {
                for file in fs::read_dir(dir).unwrap() {
                    fs::remove_file(file.unwrap().path()).unwrap();
                }
            }));
        }
    }

    #[test]
    fn what_has_not_come_yet_comes_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path(), 1);
        settings.kinds = [Kind::Kill, Kind::Rotate, Kind::Remove, Kind::Burst].into();
        let mut files = Files::new(&settings).unwrap();
        files.strike_missing().unwrap();
        let kinds: Vec<Kind> = files.expected.strikes.keys().copied().collect();
        assert_eq!(kinds, [Kind::Rotate, Kind::Remove, Kind::Burst]);
    }

    #[test]
    fn rows_are_destroyed_only_while_that_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path(), 1);
        let mut files = Files::new(&settings).unwrap();
        for _ in 0..BOUND {
            files.strike(Mode::Grow).unwrap();
        }
        assert!(files.expected.strikes.keys().all(|kind| !kind.destroys_rows()));
        // They kept their turn.
        for _ in 0..20 {
            files.strike(Mode::All).unwrap();
        }
        assert!(files.expected.strikes.keys().any(|kind| kind.destroys_rows()));
    }
}
