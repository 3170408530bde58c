//! OCI and Docker documents: digests, references, manifests, image configs, runtime specs. Pure, no I/O.

mod digest;
pub mod runtime;

pub use digest::{Digest, Hasher, chain_id};
