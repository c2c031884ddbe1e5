//! Files that come, change, are renamed and go away.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Tailer;
use crate::checkpoint::State;
use crate::tail::followed::Followed;
use crate::tail::identity::Seen;
use crate::tail::reading::Chunk;

impl Tailer {
    /// Looks at one file which the system has spoken of.
    pub(super) fn changed(&mut self, path: &Path) {
        let known = self.files.contains_key(path);
        if !known && (self.is_ending || !self.scanner.wants(path)) {
            return;
        }
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let seen = Seen::from(&metadata);
                if !known && self.files.values().any(|file| file.seen.inode == seen.inode) {
                    // A new name of a file that is followed, whose old name only a scan takes away.
                    self.next_scan = Instant::now();
                } else {
                    self.look(path.to_owned(), seen);
                }
            }
            // Gone or renamed: a scan tells which.
            _ if known => self.next_scan = Instant::now(),
            _ => {}
        }
    }

    /// Looks at all files. `all` makes each of them ready.
    pub(super) fn scan(&mut self, all: bool) {
        let Some(found) = self.scanner.scan() else { return };
        let there: HashSet<&Path> = found.iter().map(|(path, _)| path.as_path()).collect();
        let gone: Vec<PathBuf> =
            self.files.keys().filter(|path| !there.contains(path.as_path())).cloned().collect();
        for path in gone {
            self.gone(&path, &found);
        }
        for (path, seen) in found {
            if self.is_ending && !self.files.contains_key(&path) {
                continue;
            }
            if all && self.parked.contains_key(&path) {
                self.make_ready(path.clone());
            }
            self.look(path, seen);
        }
    }

    fn look(&mut self, path: PathBuf, seen: Seen) {
        match self.files.get_mut(&path) {
            Some(file) if file.seen == seen => return,
            Some(file) => file.seen = seen,
            None => {
                let file = Followed::new(&self.context.config, path.clone(), seen);
                self.files.insert(path.clone(), file);
            }
        }
        self.make_ready(path);
    }

    /// A file that is no longer there: renamed, or removed before all of it was read.
    fn gone(&mut self, path: &Path, found: &[(PathBuf, Seen)]) {
        let Some(mut file) = self.files.remove(path) else { return };
        self.ready.retain(|one| one != path);
        self.waiting.remove(path);
        self.parked.remove(path);
        let renamed = found
            .iter()
            .find(|(there, seen)| seen.inode == file.seen.inode && !self.files.contains_key(there));
        if let Some((there, _)) = renamed {
            tracing::info!(from = %path.display(), to = %there.display(), "renamed");
            file.path.clone_from(there);
            if let Some(reading) = &mut file.reading {
                reading.checkpoint.path.clone_from(there);
                self.announced.entry(reading.checkpoint.file_id).and_modify(|path| path.clone_from(there));
            }
            file.is_queued = false;
            self.files.insert(there.clone(), file);
            self.make_ready(there.clone());
            return;
        }
        let unread = file
            .reading
            .as_ref()
            .is_some_and(|one| one.announced.is_none() && one.checkpoint.state == State::Reading);
        if let Some(reading) = &file.reading {
            self.announced.remove(&reading.checkpoint.file_id);
        }
        if unread {
            tracing::warn!(file = %path.display(), "was removed before it was closed; what was read of it stands");
            let mut chunk = Chunk { generation: self.generation, ..Chunk::default() };
            if let Err(error) = file.gone(&self.context, &mut chunk) {
                tracing::error!(file = %path.display(), %error, "its end could not be kept");
            }
            let _ = self.chunks.blocking_send(chunk);
        }
    }
}
