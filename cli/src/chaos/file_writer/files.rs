//! The files, and one strike after the other on them.
//!
//! What a writer puts into a file counts as there to be read when the file is still in the landing directory
//! afterwards: the product may have closed and archived it between the writer's two steps.

mod live;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::compressed::Format;
use super::content::Content;
use super::deck::Deck;
use super::rows::{HEADER, Rows, RowsOf};
use super::{Mode, Settings};
use crate::chaos::expected::{Expected, WrittenFile};
use crate::chaos::kind::Kind;
use live::{Live, is_at};

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
}

fn endings(format: Option<Format>) -> String {
    format.map_or_else(|| ".csv".to_owned(), |format| format!(".csv.{}", format.extension()))
}

#[cfg(test)]
mod tests;
