//! thin
use crate::images::Images;
use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, Platform, Reference};
use std::io::Read;

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The name to give the image.
    pub reference: Option<Reference>,
    /// Dockerfile instructions that make its config (`CMD`, `ENV`, …).
    pub changes: Vec<String>,
    /// The comment of its history; empty: `Imported from -`.
    pub message: String,
    /// What it runs on; none: the host's.
    pub platform: Option<Platform>,
}

impl Images {
    /// Makes an image of one layer from a tar (plain, gzip or zstd) and returns its ID.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a change that is none or a hostile archive,
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) for a damaged one. Nothing is left then.
    pub fn import(&self, archive: impl Read + Send, options: &ImportOptions) -> Result<Digest> {
        let _ = (archive, options);
        Err(Error::internal("coming"))
    }
}
