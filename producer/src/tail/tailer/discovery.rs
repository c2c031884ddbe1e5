//! Files that come, change, are renamed and go away.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::printable::Printable;

use super::Tailer;
use crate::file::identity::FileStat;
use crate::tail::reading::Chunk;
use crate::tail::scan::Found;
use crate::tail::tailed_file::TailedFile;

impl Tailer {
    /// Looks at one file which the system has spoken of.
    pub(super) fn changed(&mut self, path: &Path) {
        let known = self.files.get(path).map(|file| file.seen.inode);
        if known.is_none() && (self.is_ending || !self.scanner.wants(path)) {
            return;
        }
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let seen = FileStat::from(&metadata);
                let is_other = known.is_some_and(|inode| inode != seen.inode);
                let is_followed = || self.files.values().any(|file| file.seen.inode == seen.inode);
                if is_other || (known.is_none() && is_followed()) {
                    // A new name of a file that is followed, or another file under its name: a scan tells which.
                    self.next_scan = Instant::now();
                } else {
                    self.look(path.to_owned(), seen);
                }
            }
            // Gone or renamed: a scan tells which.
            _ if known.is_some() => self.next_scan = Instant::now(),
            _ => {}
        }
    }

    /// Looks at all files. `all` makes each of them ready.
    pub(super) fn scan(&mut self, all: bool) {
        self.look_at_archived();
        let Some(mut found) = self.scanner.scan() else { return };
        if self.files.values().any(|file| !found.may_have(file.seen.inode)) {
            // A file that is renamed while the directory is read may be in neither place.
            let Some(again) = self.scanner.scan() else { return };
            found = again;
        }
        self.parked.retain(|path, _| found.has(path));
        self.follow_moves(&found);
        for (path, why) in &found.refused {
            self.park(path.clone(), why.clone());
        }
        let mut names: HashMap<u64, PathBuf> =
            self.files.iter().map(|(path, file)| (file.seen.inode, path.clone())).collect();
        for (path, seen) in &found.files {
            let is_known = self.files.contains_key(path);
            if self.is_ending && !is_known {
                continue;
            }
            if let Some(first) = names.get(&seen.inode).filter(|_| !is_known) {
                let why = format!(
                    "is the same file as {}, which is read; remove one of the two names",
                    first.display()
                );
                self.park(path.clone(), why);
                continue;
            }
            if all && self.parked.contains_key(path) {
                self.make_ready(path.clone());
            }
            names.insert(seen.inode, path.clone());
            self.look(path.clone(), *seen);
        }
        if std::mem::take(&mut self.may_miss) {
            self.tell_missing(&found);
        }
    }

    fn look(&mut self, path: PathBuf, seen: FileStat) {
        let is_new = if let Some(file) = self.files.get_mut(&path) {
            file.look(seen)
        } else {
            let file = TailedFile::new(path.clone(), seen);
            self.files.insert(path.clone(), file);
            true
        };
        if is_new {
            self.make_ready(path);
        }
    }

    /// Files that are no longer where they were: renamed, also to the name of another one, or gone.
    fn follow_moves(&mut self, found: &Found) {
        let moved: Vec<PathBuf> = self
            .files
            .iter()
            .filter(|(path, file)| !found.is_at(path, file.seen.inode))
            .map(|(path, _)| path.clone())
            .collect();
        let left: Vec<TailedFile> = moved.iter().filter_map(|path| self.leave(path)).collect();
        for file in left {
            let place = found
                .files
                .iter()
                .find(|(there, seen)| seen.inode == file.seen.inode && !self.files.contains_key(there));
            match place {
                Some((there, _)) => self.renamed(file, there),
                None => self.gone(file),
            }
        }
    }

    pub(super) fn leave(&mut self, path: &Path) -> Option<TailedFile> {
        self.waiting.remove(path);
        self.parked.remove(path);
        let file = self.files.remove(path)?;
        if file.is_queued {
            self.ready.retain(|one| one != path);
        }
        Some(file)
    }

    fn renamed(&mut self, mut file: TailedFile, there: &Path) {
        tracing::info!(from = %Printable(file.path.display()), to = %Printable(there.display()), "renamed");
        there.clone_into(&mut file.path);
        if let Some(reading) = &mut file.reading {
            reading.checkpoint.move_to(there);
            self.announced.entry(reading.checkpoint.file_id).and_modify(|path| there.clone_into(path));
        }
        file.is_queued = false;
        self.files.insert(there.to_owned(), file);
        self.make_ready(there.to_owned());
    }

    fn gone(&mut self, mut file: TailedFile) {
        let Some(file_id) = file.file_id() else {
            // Its checkpoint may be there, of a start before.
            self.may_miss = true;
            return;
        };
        self.announced.remove(&file_id);
        let mut chunk = Chunk::default();
        if let Err(error) = file.end(&self.context, &mut chunk) {
            tracing::error!(file = %Printable(file.path.display()), %error, "its end could not be kept");
        }
        if !chunk.messages.is_empty() {
            tracing::warn!(
                file = %Printable(file.path.display()),
                "was removed before it was closed; what was read of it stands and cannot be published again"
            );
        }
        self.send(chunk);
    }

    /// Hands on what belongs to no turn of a file, behind what turns brought before.
    pub(super) fn send(&mut self, chunk: Chunk) {
        self.pending.append(chunk);
        // Where nobody takes chunks any more, the next turn ends the tailer.
        let _ = self.hand_on();
    }
}
