//! thin
use super::*;

/// A layer that is unpacked and verified but not recorded; gone when dropped.
#[derive(Debug)]
pub struct Unpacked<'a> {
    layers: &'a Layers,
    diff_id: Digest,
    size: u64,
    notes: Vec<String>,
}

impl Unpacked<'_> {
    /// The digest of the uncompressed tar.
    #[must_use]
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Bytes of file contents.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What could not be made as the archive said, because this process may not (devices, owners): for the person.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

pub(super) fn run<'a>(
    _layers: &'a Layers,
    _archive: impl Read + Send,
    _options: &UnpackOptions,
) -> Result<Unpacked<'a>> {
    Err(Error::internal("coming"))
}
