//! Which file this is: one that was read before, under this or another name, or a new one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use common::printable::{Printable, SHORT, shortened};
use common::wire::FileState;

use super::{Context, ReadState, TailedFile, is_unchanged};
use crate::checkpoint::{Checkpoint, KNOWN_INCARNATIONS, SentPosition, State};
use crate::csv::header::Head;
use crate::file::buffer::Buffer;
use crate::file::content::Got;
use crate::file::identity::{Identity, hash};
use crate::file_reader::NewFile;
use crate::map::{MappedFile, Unmappable, renamed};
use crate::tail::reading::{Chunk, Reading};
use crate::tail::truncated;

/// How many files of one inode and head are looked up that may have been in a lost store.
const MOST_INCARNATIONS: u32 = 1_000;

impl TailedFile {
    /// `None` until header and first record are complete.
    pub(super) fn identify(
        &mut self,
        context: &Context,
        got: Got,
        finish: bool,
        chunk: &mut Chunk,
    ) -> io::Result<Option<ReadState>> {
        let Some(new_file) = &self.new_file else { return Ok(None) };
        let bytes = new_file.buffer.rest();
        let head = new_file.head(finish && got == Got::End);
        if matches!(head, Ok(None)) && got != Got::End {
            return Ok(None);
        }
        let mut known = context.store.of_inode(self.stat.inode).map_err(io::Error::other)?;
        known.retain(|one| !self.is_elsewhere(one));
        let (fitting, mut others): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|one| one.identity.fits(self.stat.inode, bytes));
        let head = match head {
            Ok(Some(head)) => head,
            incomplete => {
                // A file that is here again would still have its beginning.
                truncate_others(context, &others, chunk)?;
                return Ok(incomplete.err().map(ReadState::Parked));
            }
        };
        let archived = fitting.iter().find_map(|one| self.is_archived(one));
        let mut incarnation = context.store.first_incarnation();
        for one in fitting {
            if self.reading.is_none() && self.resume(context, &one)? {
                continue;
            }
            if one.identity.head_length == head.length as u64 {
                incarnation = incarnation.max(one.identity.incarnation + 1);
            }
            others.push(one);
        }
        truncate_others(context, &others, chunk)?;
        let Some(new_file) = self.new_file.take() else { return Ok(Some(ReadState::More)) };
        if let Some(why) = archived {
            return Ok(Some(ReadState::Parked(why)));
        }
        if self.path.to_str().is_none() {
            return Ok(Some(ReadState::Parked("its name is not UTF-8; rename it".to_owned())));
        }
        let identity = Identity {
            inode: self.stat.inode,
            head_length: head.length as u64,
            head_hash: hash(&new_file.buffer.rest()[..head.length]),
            incarnation,
        };
        let identity = self.announced_as(context, identity)?;
        Ok(Some(match self.start(context, identity, new_file, &head, chunk)? {
            Ok(()) => ReadState::More,
            Err(Unmappable(why)) => ReadState::Parked(why),
        }))
    }

    /// A file that is read for the first time.
    fn start(
        &mut self,
        context: &Context,
        identity: Identity,
        new_file: NewFile,
        head: &Head,
        chunk: &mut Chunk,
    ) -> io::Result<Result<(), Unmappable>> {
        let original = new_file.original(head).map(|file| context.store.of_file(file)).transpose();
        let original = original.map_err(io::Error::other)?.flatten().map(MappedFile::from);
        let mapping = match new_file.mapping(&context.mapping_rules, head, original) {
            Ok(mapping) => Arc::new(mapping),
            Err(unmappable) => return Ok(Err(unmappable)),
        };
        if let Some(renamed) = renamed(&head.header, &mapping.header) {
            tracing::warn!(file = %Printable(self.path.display()), "{}", shortened(&renamed, 10 * SHORT));
        }
        let file_id = identity.file_id(context.store.source_id());
        let (buffer, start) = new_file.into_rows(head);
        let mut checkpoint = Checkpoint::new(file_id, identity, &self.path);
        (checkpoint.start, checkpoint.reached) = (start, start);
        checkpoint.mapping = Some(Arc::clone(&mapping));
        checkpoint.revision = context.next_revision()?;
        let revision = checkpoint.revision;
        let mut reading = Reading::new(checkpoint, &mapping, context.mapping_rules.limits(), buffer);
        context.store.put(reading.checkpoint.clone());
        reading.announce(FileState::Open, revision, chunk);
        let written_us = self.stat.written_us.min(context.clock.micros());
        reading.take(false, written_us, chunk).map_err(io::Error::other)?;
        tracing::debug!(file = %Printable(self.path.display()), %file_id, source = mapping.source, "reading");
        self.reading = Some(Box::new(reading));
        Ok(Ok(()))
    }

    /// Resumes a file that was read before where it was acknowledged. Returns false if this is another file.
    fn resume(&mut self, context: &Context, known: &Checkpoint) -> io::Result<bool> {
        let Some(mapping) = &known.mapping else { return Ok(false) };
        // A move or a removal that was begun and did not happen does not count: the file has another name by now.
        let was_put_away = match known.state {
            State::Reading | State::Kept => false,
            State::Archiving { .. } | State::Copied { .. } | State::Deleting => true,
            State::Archived { .. } | State::Deleted | State::Truncated => return Ok(false),
        };
        let (buffer, stat) = Buffer::open(&self.path, &known.reached)?;
        let sent = context.store.sent(known.file_id).map_err(io::Error::other)?;
        let sent = sent.unwrap_or_else(|| SentPosition::of(known));
        if stat.inode != known.identity.inode || !is_unchanged(&self.path, &buffer, &known.reached, &sent)? {
            return Ok(false);
        }
        let mut checkpoint = known.clone();
        checkpoint.move_to(&self.path);
        if was_put_away {
            checkpoint.state = State::Reading;
        }
        let mut reading = Reading::new(checkpoint, mapping, context.mapping_rules.limits(), buffer);
        if was_put_away || known.limits.is_none() {
            context.store.put(reading.checkpoint.clone());
        }
        reading.resume(context.mapping_rules.max_payload()).map_err(io::Error::other)?;
        reading.resume_sent(sent);
        self.reading = Some(Box::new(reading));
        self.new_file = None;
        Ok(true)
    }

    /// The identity that the file had before the checkpoints were lost, if it was still being read under this name as
    /// far as the stream has it. Its rows then keep their origins.
    fn announced_as(&self, context: &Context, new: Identity) -> io::Result<Identity> {
        if context.store.first_incarnation() == 0 {
            return Ok(new);
        }
        let mut latest = None;
        for incarnation in 0..MOST_INCARNATIONS.min(KNOWN_INCARNATIONS) {
            let before = Identity { incarnation, ..new };
            let file = before.file_id(context.store.source_id());
            match context.store.announced(file).map_err(io::Error::other)? {
                Some(announced) => latest = Some((before, announced)),
                None => break,
            }
        }
        let Some((before, announced)) = latest else { return Ok(new) };
        let is_it = announced.path.as_deref() == Some(&*self.path) && self.stat.size >= announced.bytes;
        if is_it {
            tracing::info!(file = %Printable(self.path.display()), "is read again from its start");
        }
        Ok(if is_it { before } else { new })
    }

    /// Whether the file with this inode is another one, on another device, and still in its place.
    fn is_elsewhere(&self, known: &Checkpoint) -> bool {
        if !matches!(known.state, State::Reading | State::Kept) {
            return false;
        }
        let (Ok(this), Some(place)) = (fs::metadata(&self.path), &known.absolute) else { return false };
        fs::metadata(place)
            .is_ok_and(|there| there.ino() == known.identity.inode && there.dev() != this.dev())
    }

    /// The reason, if this is only another name of a file that is in the archive.
    fn is_archived(&self, known: &Checkpoint) -> Option<String> {
        let State::Archived { target } = &known.state else { return None };
        let (this, archived) = (fs::metadata(&self.path).ok()?, fs::metadata(target).ok()?);
        let is_same = (this.dev(), this.ino()) == (archived.dev(), archived.ino());
        is_same.then(|| format!("is the same file as {}, which is done; remove this name", target.display()))
    }
}

/// Sends the totals of files that had this inode and were rewritten while no tailer was running.
fn truncate_others(context: &Context, others: &[Checkpoint], chunk: &mut Chunk) -> io::Result<()> {
    for other in others.iter().filter(|other| other.state == State::Reading) {
        tracing::warn!(
            file = %Printable(other.path.display()),
            rows_read = other.reached.row,
            "was rewritten while no tailer was running: the rows that were read are kept and cannot be published again, \
             the content is read as a new file"
        );
        truncated::truncate(context, other, chunk).map_err(io::Error::other)?;
    }
    Ok(())
}
