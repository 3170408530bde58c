//! OCI and Docker documents: digests, references, manifests, image configs, runtime specs. Pure, no I/O

pub mod runtime;
