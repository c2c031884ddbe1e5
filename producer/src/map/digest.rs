//! Length and digest of a row of which only the beginning can be stored.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Computed piece by piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowDigest {
    length: u64,
    hash: Sha256,
}

impl RowDigest {
    pub(crate) fn of(row: &[u8]) -> Self {
        let mut whole = Self::default();
        whole.add(row);
        whole
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }
}

/// As `sha256sum` prints it.
impl fmt::Display for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes with sha256 ", self.length)?;
        self.hash.clone().finalize().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_the_pieces() {
        let mut pieces = RowDigest::of(b"a");
        pieces.add(b"bc");
        let abc = "3 bytes with sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((pieces.to_string().as_str(), RowDigest::of(b"abc").to_string().as_str()), (abc, abc));
    }
}
