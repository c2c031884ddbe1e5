//! Strikes on files that are still written to: each is one step of a writer, beside a reader that may be anywhere.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rand::RngExt as _;

use super::{Files, ROWS, endings};
use crate::chaos::file_writer::compressed::Format;
use crate::chaos::file_writer::content::Content;
use crate::chaos::file_writer::rows::HEADER;
use crate::chaos::kind::Kind;

/// Files that are appended to, truncated and so on at a time. The others land whole.
const LIVE: usize = 8;

/// A file that is still written to.
pub(super) struct Live {
    /// Of the file in what is expected.
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    pub(super) format: Option<Format>,
    /// What is left of something that was written in part: of a row, or of a compressed member.
    pub(super) rest: Vec<u8>,
}

impl Files<'_> {
    /// Strikes one of the files that are still written to. `false` where it has gone to the archive, or a new one landed
    /// instead: at the second try that is struck at once, so that each kind comes also where files are archived faster
    /// than they are struck.
    pub(super) fn strike_live(&mut self, kind: Kind) -> io::Result<bool> {
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
    pub(super) fn append_member(&mut self, live: &mut Live) -> io::Result<()> {
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

    pub(super) fn note_landed(&mut self, live: &Live) {
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
    pub(super) fn is_unfinished(&self) -> bool {
        self.format.is_some() && !self.rest.is_empty()
    }
}

/// Whether the file is still at its path.
pub(super) fn is_at(path: &Path, inode: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.ino() == inode)
}

/// The product has moved it to the archive.
fn unless_gone(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::NotFound { Ok(false) } else { Err(error) }
}
