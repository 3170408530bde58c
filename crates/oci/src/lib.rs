//! OCI and Docker documents: digests, references, manifests, image configs, runtime specs. Pure: no I/O, no clock.
//!
//! Documents of others are read leniently where Go is (`null` for an empty list, unknown fields) and strictly where a
//! mistake would be a hole: digests are SHA-256 in lower case, a document that could be two things is refused, sizes are
//! not negative. Documents that are content are kept as the bytes that came; only new ones are written from these types.
//!
//! ```
//! use dhow_oci::{Digest, Reference};
//! let reference = Reference::parse("busybox")?.with_default_tag();
//! assert_eq!(reference.canonical(), "docker.io/library/busybox:latest");
//! assert_eq!(Digest::of(b"").to_string().len(), "sha256:".len() + 64);
//! # Ok::<(), dhow_errdefs::Error>(())
//! ```

mod config;
mod device_name;
mod digest;
mod json;
mod manifest;
pub mod media;
mod platform;
mod reference;
pub mod runtime;

pub use config::{
    ContainerConfig, Empty, Healthcheck, History, ImageConfig, LARGEST_CONFIG, MOST_LAYERS, RootFs, RunConfig,
};
pub use device_name::DeviceName;
pub use digest::{Digest, Hasher, chain_id};
pub use manifest::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, ANNOTATION_REFERENCE_TYPE, Descriptor, Index, Manifest,
};
pub use platform::Platform;
pub use reference::{DEFAULT_REGISTRY, DEFAULT_SERVER, DEFAULT_TAG, Reference};
