//! What tells whether a file still has the contents that it was unpacked with.
//!
//! Nobody but this store ever sees it, so it is BLAKE3, which costs less than a third of what SHA-256 does, also with a
//! processor that has instructions for that: a pull computes two of SHA-256 over the same bytes already. Layers that were
//! unpacked before have SHA-256.

use std::io::{self, Read};

use dhow_oci::{Digest, Hasher};

/// Of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fingerprint {
    Blake3(blake3::Hash),
    Sha256(Digest),
}

/// Computes one piece by piece.
#[derive(Debug, Default)]
pub(super) struct Fingerprinter(blake3::Hasher);

impl Fingerprinter {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(&self) -> Fingerprint {
        Fingerprint::Blake3(self.0.finalize())
    }
}

impl Fingerprint {
    /// As a manifest has it: the type of its line, and the digits.
    pub(super) fn written(&self) -> (char, String) {
        match self {
            Self::Blake3(hash) => ('b', hash.to_hex().to_string()),
            Self::Sha256(digest) => ('f', digest.hex()),
        }
    }

    /// The inverse.
    pub(super) fn read(kind: &str, digits: &str) -> Option<Self> {
        match kind {
            "b" => blake3::Hash::from_hex(digits).ok().map(Self::Blake3),
            "f" => Digest::from_hex(digits).ok().map(Self::Sha256),
            _ => None,
        }
    }

    /// Whether these are the contents.
    pub(super) fn is_of(&self, contents: &mut impl Read) -> io::Result<bool> {
        Ok(match self {
            Self::Blake3(known) => {
                let mut hasher = blake3::Hasher::new();
                pour(contents, |piece| {
                    hasher.update(piece);
                })?;
                hasher.finalize() == *known
            }
            Self::Sha256(known) => {
                let mut hasher = Hasher::new();
                pour(contents, |piece| hasher.update(piece))?;
                hasher.finish() == *known
            }
        })
    }
}

fn pour(from: &mut impl Read, mut into: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => into(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_known_again_and_others_are_not() {
        let mut hasher = Fingerprinter::default();
        hasher.update(b"ab");
        hasher.update(b"c");
        for fingerprint in [hasher.finish(), Fingerprint::Sha256(Digest::of(b"abc"))] {
            assert!(fingerprint.is_of(&mut b"abc".as_slice()).unwrap(), "{fingerprint:?}");
            assert!(!fingerprint.is_of(&mut b"abd".as_slice()).unwrap(), "{fingerprint:?}");
        }
    }
}
