//! One file, whatever is in it: which file it is, its bytes after decompression, and positions in them.

pub(crate) mod links; // symbolic links, which are never read
pub(crate) mod identity; // which file this is
pub(crate) mod compressed; // gzip, zstd -> bytes
pub(crate) mod content; // a path -> bytes from an offset on
pub(crate) mod buffer; // the bytes at hand
mod position;

pub use content::read_span;
pub use position::Position;
