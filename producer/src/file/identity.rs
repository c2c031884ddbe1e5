//! Which file this is: one that was read before, or another one under its name.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use common::FileId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// How many bytes before a position are compared when a file is opened again.
pub(crate) const TAIL: usize = 4096;

/// Makes a file different from others. The size is not in it, since it grows, nor the device, since a reboot renumbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub inode: u64,
    /// Bytes of its header and first record, uncompressed.
    pub head_length: u64,
    /// Their hash, taken once.
    pub head_hash: u64,
    /// How many files of the same inode and head came before it.
    pub incarnation: u32,
}

impl Identity {
    /// For the checkpoint directory that has `source_id`.
    pub(crate) fn file_id(&self, source_id: u64) -> FileId {
        let mut hasher = Xxh3::new();
        for number in [source_id, self.inode, self.head_length, self.head_hash, u64::from(self.incarnation)] {
            hasher.update(&number.to_le_bytes());
        }
        FileId::from_hash(hasher.digest())
    }

    /// Whether a file of this inode that begins with `bytes` could be this one.
    pub(crate) fn fits(&self, inode: u64, bytes: &[u8]) -> bool {
        let length = usize::try_from(self.head_length).unwrap_or(usize::MAX);
        self.inode == inode && bytes.get(..length).is_some_and(|head| hash(head) == self.head_hash)
    }
}

/// The hash of heads and tails.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The metadata of a file at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileStat {
    pub inode: u64,
    pub size: u64,
    /// Its modification time, in microseconds since 1970. A writer, and another machine, may set it.
    pub written_us: i64,
    /// The last change of its content, its name or its times, in microseconds since 1970. It cannot be set.
    pub changed_us: i64,
}

impl FileStat {
    /// Whether a file that was renamed has not been written: a rename changes only [`Self::changed_us`].
    pub(crate) fn is_same_but_for_its_name(&self, other: &Self) -> bool {
        *self == Self { changed_us: self.changed_us, ..*other }
    }
}

impl From<&Metadata> for FileStat {
    fn from(metadata: &Metadata) -> Self {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let written_us = since.and_then(|since| i64::try_from(since.as_micros()).ok()).unwrap_or(0);
        let changed_us =
            metadata.ctime().saturating_mul(1_000_000).saturating_add(metadata.ctime_nsec() / 1_000);
        Self { inode: metadata.ino(), size: metadata.len(), written_us, changed_us }
    }
}
