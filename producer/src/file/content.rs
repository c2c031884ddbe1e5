//! The bytes of a file from an offset on, after decompression.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::file::compressed;
use crate::file::identity::{FileStat, TAIL};

pub(crate) struct Content {
    reader: Box<dyn Read + Send>,
    /// Set if the file is not compressed, so that bytes can be read again by their offset.
    plain: Option<File>,
}

/// A writer has overwritten the file in its place.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it was rewritten while it was read")]
struct Rewritten;

/// Whether reading failed for that reason.
pub(crate) fn is_rewritten(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Rewritten>())
}

/// The result of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// Bytes; there may be more.
    More,
    /// The current end of the file.
    End,
    /// A compressed file stops before its end.
    Unfinished,
}

impl Content {
    /// Opens the file at `offset` of its uncompressed bytes. Also returns its metadata, and the bytes before the offset, up
    /// to 4 KiB; fewer if the file is shorter than that.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<(Self, FileStat, Vec<u8>)> {
        // Only regular files are opened, and no links that have replaced a file.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let seen = FileStat::from(&metadata);
        let before = offset.min(TAIL as u64);
        let skipped = offset - before;
        let (mut reader, plain): (Box<dyn Read + Send>, _) = match compressed::format_of(path) {
            // A writer has just made it.
            Some(_) if seen.size == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(format) => {
                let mut reader = compressed::reader(format, file)?;
                io::copy(&mut reader.by_ref().take(skipped), &mut io::sink())?;
                (reader, None)
            }
            None => {
                file.seek(SeekFrom::Start(skipped))?;
                let plain = file.try_clone()?;
                (Box::new(file), Some(plain))
            }
        };
        let mut tail = Vec::new();
        reader.by_ref().take(before).read_to_end(&mut tail)?;
        Ok((Self { reader, plain }, seen, tail))
    }

    /// Fails if the last 4 KiB of `bytes`, which are from `offset` on, are not in the file any more.
    pub(crate) fn still_has(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(file) = &self.plain else { return Ok(()) };
        let skipped = bytes.len().saturating_sub(TAIL);
        let (bytes, mut there) = (&bytes[skipped..], [0; TAIL]);
        match file.read_exact_at(&mut there[..bytes.len()], offset + skipped as u64) {
            Ok(()) if there[..bytes.len()] == *bytes => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Err(io::Error::other(Rewritten)),
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<Got> {
        let length = buffer.len();
        buffer.resize(length + most, 0);
        let result = loop {
            match self.reader.read(&mut buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        buffer.truncate(length + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Ok(Got::End),
            Ok(_) => Ok(Got::More),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Got::Unfinished),
            Err(error) => Err(error),
        }
    }
}

/// Up to `most` bytes of the file from an offset of its uncompressed bytes on; fewer if the file ends before.
pub fn read_span(path: &Path, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let (mut content, ..) = Content::open(path, offset)?;
    let mut bytes = Vec::with_capacity(most);
    while bytes.len() < most {
        let missing = most - bytes.len();
        if content.read(&mut bytes, missing)? != Got::More {
            break;
        }
    }
    Ok(bytes)
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn offsets_of_a_compressed_file_are_those_of_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv.gz");
        std::fs::write(&path, gzip(b"hello, world")).unwrap();
        let (mut content, _, tail) = Content::open(&path, 7).unwrap();
        let mut buffer = Vec::new();
        assert_eq!(content.read(&mut buffer, 100).unwrap(), Got::More);
        assert_eq!((&tail[..], &buffer[..]), (&b"hello, "[..], &b"world"[..]));
        assert_eq!(content.read(&mut buffer, 100).unwrap(), Got::End);
    }

    #[test]
    fn rule_unfinished_gzip_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv.gz");
        let whole = gzip(&b"some text that is long enough ".repeat(1_000));
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let (mut content, _, _) = Content::open(&path, 0).unwrap();
        let mut buffer = Vec::new();
        let last = loop {
            match content.read(&mut buffer, 4_096).unwrap() {
                Got::More => {}
                last => break last,
            }
        };
        assert_eq!(last, Got::Unfinished);
    }
}
