//! The text of a compressed file, through all its members or frames. Compressed bytes enter; what leaves was checked
//! against the checksums of the file.
//!
//! An end in the middle of a member or frame is [`io::ErrorKind::UnexpectedEof`]: more may follow. Other errors in the
//! content are permanent: [`is_damaged`].

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

/// Compressed bytes of one read, which is what zstd asks for.
const READ: usize = 128 << 10;

/// Of a file that ends in the middle of a member or frame.
pub(crate) const UNFINISHED: &str = "the compressed file stops before its end; copy it again";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zstd,
}

/// By the name's ending, in upper or lower case; `None` if the file is not compressed.
pub(super) fn format_of(path: &Path) -> Option<Format> {
    let ending = path.extension()?;
    if ending.eq_ignore_ascii_case("gz") {
        Some(Format::Gzip)
    } else if ending.eq_ignore_ascii_case("zst") {
        Some(Format::Zstd)
    } else {
        None
    }
}

/// The content does not match its format or its checksums.
#[derive(Debug, thiserror::Error)]
#[error("the compressed file is damaged: {0}; copy it again")]
struct Damaged(io::Error);

/// Whether reading failed because of the content, so that it would fail again.
pub(crate) fn is_damaged(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Damaged>())
}

pub(super) fn reader(format: Format, file: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let file = BufReader::with_capacity(READ, file);
    Ok(match format {
        Format::Gzip => Box::new(Checked(Gzip(Some(GzDecoder::new(file))))),
        Format::Zstd => Box::new(Checked(zstd::Decoder::with_buffer(file)?)),
    })
}

/// Makes [`Damaged`] of errors in the content, unlike errors of the system.
struct Checked<R>(R);

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted => error,
            _ if error.raw_os_error().is_some() => error,
            _ => io::Error::other(Damaged(error)),
        })
    }
}

/// All members of a gzip file; `None` behind the last one. As for gzip, zeros behind it are padding. Of other bytes
/// there gzip says that it ignores them, with exit code 2; here they are damage, since they may have been a member.
struct Gzip<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let length = member.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            // The member's length and checksum were right.
            let has_more = skip_padding(member.get_mut())?;
            let file = self.0.take().map(GzDecoder::into_inner);
            self.0 = file.filter(|_| has_more).map(GzDecoder::new);
        }
        Ok(0)
    }
}

/// Whether another member follows.
fn skip_padding(file: &mut impl BufRead) -> io::Result<bool> {
    let mut is_padded = false;
    loop {
        let bytes = file.fill_buf()?;
        match bytes.first() {
            None => return Ok(false),
            Some(0x1f) if !is_padded => return Ok(true),
            Some(0) => {}
            Some(_) => return Err(io::Error::other("other bytes follow the last gzip member")),
        }
        is_padded = true;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        file.consume(zeros);
    }
}

#[cfg(test)]
mod tests;
