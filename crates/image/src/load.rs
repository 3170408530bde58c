//! thin
use crate::images::Images;
use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, Platform};
use std::io::Read;

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which image to take where an index has several; none: the host's.
    pub platform: Option<Platform>,
}

/// What happens during a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// A layer is being unpacked: Docker's `Loading layer`.
    Layer {
        /// Its diff ID.
        diff_id: Digest,
        /// Bytes of its blob read so far.
        current: u64,
        /// Bytes of its blob.
        total: u64,
    },
    /// A name was taken from another image: `The image NAME already exists, renaming the old one with ID ID to empty string`.
    Renamed {
        /// The name.
        name: String,
        /// The image that had it.
        before: Digest,
    },
    /// `Loaded image: NAME`.
    Image {
        /// The name as Docker prints it.
        name: String,
        /// The image.
        id: Digest,
    },
    /// `Loaded image ID: ID`, for an image without a name.
    ImageId(Digest),
}

impl LoadEvent {
    /// Docker's line for it, with a line feed; nothing for [`Layer`](Self::Layer).
    #[must_use]
    pub fn line(&self) -> Option<String> {
        match self {
            Self::Layer { .. } => None,
            Self::Renamed { name, before } => Some(format!(
                "The image {name} already exists, renaming the old one with ID {before} to empty string\n"
            )),
            Self::Image { name, .. } => Some(format!("Loaded image: {name}\n")),
            Self::ImageId(id) => Some(format!("Loaded image ID: {id}\n")),
        }
    }
}

impl Images {
    /// Takes in the images of an archive (Docker's or an OCI layout; plain, gzip or zstd) and returns their IDs.
    ///
    /// The archive is read once, from the beginning to the end.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for what is no image archive or a hostile one,
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) for a damaged or truncated one,
    /// [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) for one over a limit,
    /// [`NotImplemented`](dhow_errdefs::Class::NotImplemented) for kinds of content that dhow does not know. Nothing is
    /// left then.
    pub fn load(
        &self,
        archive: impl Read + Send,
        options: &LoadOptions,
        progress: &(dyn Fn(LoadEvent) + Sync),
    ) -> Result<Vec<Digest>> {
        let _ = (archive, options, progress);
        Err(Error::internal("coming"))
    }
}
