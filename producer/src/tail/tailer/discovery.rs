//! Files that are added, changed, renamed or removed.

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
    /// Checks one file, after a notification.
    pub(super) fn changed(&mut self, path: &Path) {
        let known = self.files.get(path).map(|file| file.stat.inode);
        if known.is_none() && (self.is_ending || !self.scanner.wants(path)) {
            return;
        }
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let stat = FileStat::from(&metadata);
                let is_other = known.is_some_and(|inode| inode != stat.inode);
                let is_tailed = || self.files.values().any(|file| file.stat.inode == stat.inode);
                if is_other || (known.is_none() && is_tailed()) {
                    // A new name of a tailed file, or another file under its name: a scan finds out which.
                    self.next_scan = Instant::now();
                } else {
                    self.check_file(path.to_owned(), stat);
                }
            }
            // Removed or renamed: a scan finds out which.
            _ if known.is_some() => self.next_scan = Instant::now(),
            _ => {}
        }
    }

    /// Checks all files. `all` also lets parked ones be read again.
    pub(super) fn scan(&mut self, all: bool) {
        self.check_archived();
        let Some(mut found) = self.scanner.scan() else { return };
        if self.files.values().any(|file| !found.may_have(file.stat.inode)) {
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
            self.files.iter().map(|(path, file)| (file.stat.inode, path.clone())).collect();
        for (path, stat) in &found.files {
            let is_known = self.files.contains_key(path);
            if self.is_ending && !is_known {
                continue;
            }
            if let Some(first) = names.get(&stat.inode).filter(|_| !is_known) {
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
            names.insert(stat.inode, path.clone());
            self.check_file(path.clone(), *stat);
        }
        if std::mem::take(&mut self.may_be_missing) {
            self.truncate_missing(&found);
        }
    }

    fn check_file(&mut self, path: PathBuf, stat: FileStat) {
        let is_new = if let Some(file) = self.files.get_mut(&path) {
            file.update_stat(stat)
        } else {
            let file = TailedFile::new(path.clone(), stat);
            self.files.insert(path.clone(), file);
            true
        };
        if is_new {
            self.make_ready(path);
        }
    }

    /// Files that are no longer in their place: renamed, also to the name of another one, or removed.
    fn follow_moves(&mut self, found: &Found) {
        let moved: Vec<PathBuf> = self
            .files
            .iter()
            .filter(|(path, file)| !found.is_at(path, file.stat.inode))
            .map(|(path, _)| path.clone())
            .collect();
        let moved: Vec<TailedFile> = moved.iter().filter_map(|path| self.stop_following(path)).collect();
        for file in moved {
            let place = found
                .files
                .iter()
                .find(|(there, stat)| stat.inode == file.stat.inode && !self.files.contains_key(there));
            match place {
                Some((there, _)) => self.renamed(file, there),
                None => self.removed(file),
            }
        }
    }

    pub(super) fn stop_following(&mut self, path: &Path) -> Option<TailedFile> {
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
            self.announced
                .entry(reading.checkpoint.file_id)
                .and_modify(|one| there.clone_into(&mut one.path));
        }
        file.is_queued = false;
        self.files.insert(there.to_owned(), file);
        self.make_ready(there.to_owned());
    }

    fn removed(&mut self, mut file: TailedFile) {
        let Some(file_id) = file.file_id() else {
            // An earlier process may have written its checkpoint.
            self.may_be_missing = true;
            return;
        };
        self.announced.remove(&file_id);
        let mut chunk = Chunk::default();
        if let Err(error) = file.truncate(&self.context, &mut chunk) {
            tracing::error!(file = %Printable(file.path.display()), %error, "its end could not be stored");
        }
        if !chunk.messages.is_empty() {
            tracing::warn!(
                file = %Printable(file.path.display()),
                "was removed before it was closed; the rows that were read are kept and cannot be published again"
            );
        }
        self.send(chunk);
    }

    /// Sends `chunk` behind what is pending.
    pub(super) fn send(&mut self, chunk: Chunk) {
        self.pending.append(chunk);
        // If the publisher has ended, the next read ends the tailer.
        let _ = self.send_pending();
    }
}
