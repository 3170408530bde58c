//! OCI and Docker documents: digests, references, manifests, image configurations, runtime specifications.
//!
//! Everything here parses, checks and prints; nothing reads a file or a socket. Documents that have a digest are kept by
//! their callers as the bytes that were received: re-serialising one would change its name.

mod digest;
mod image_config;
mod manifest;
mod platform;
mod reference;
pub mod runtime;

pub use digest::{Digest, Hasher, chain_id};
pub use image_config::{ContainerConfig, Empty, Healthcheck, History, ImageConfig, RootFs};
pub use manifest::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Index, Manifest, media_type};
pub use platform::Platform;
pub use reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
